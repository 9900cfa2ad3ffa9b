import type { Attribute } from '../graph.ts'
import { gradientTest } from '../testing/gradient-cases.ts'
import { node } from '../testing/model-of.ts'

/** Convolutions and means are linear in each operand, so a step of 1 makes no truncation error: float32 is enough. */
const linear = { dtype: 'float32', step: 1, tolerance: 1e-5 } as const
const ints = (...values: number[]): Attribute => ({ ints: values })

type Case = {
  readonly name: string
  readonly x: readonly number[]
  readonly w: readonly number[]
  readonly attributes?: Record<string, Attribute>
  readonly bias?: boolean
}

const convs: readonly Case[] = [
  { name: 'one axis', x: [5, 3, 9], w: [4, 3, 3], attributes: { strides: ints(2), pads: ints(1, 0) }, bias: true },
  { name: 'kernel 1', x: [5, 3, 4, 4], w: [4, 3, 1, 1], bias: true },
  { name: 'kernel 1 with a stride', x: [5, 3, 6, 5], w: [4, 3, 1, 1], attributes: { strides: ints(2, 2) } },
  { name: 'kernel 1 with padding', x: [5, 2, 3, 3], w: [2, 2, 1, 1], attributes: { pads: ints(1, 1, 1, 1) } },
  {
    name: 'groups',
    x: [5, 4, 6, 5],
    w: [6, 2, 3, 3],
    attributes: { group: { int: 2 }, pads: ints(1, 1, 1, 1) },
    bias: true,
  },
  {
    name: 'groups with a stride',
    x: [5, 4, 7, 6],
    w: [4, 2, 3, 2],
    attributes: { group: { int: 2 }, strides: ints(2, 3) },
  },
  { name: 'groups of kernel 1', x: [5, 4, 3, 3], w: [4, 2, 1, 1], attributes: { group: { int: 2 } } },
  {
    name: 'depthwise',
    x: [5, 3, 6, 6],
    w: [3, 1, 3, 3],
    attributes: { group: { int: 3 }, pads: ints(1, 1, 1, 1) },
    bias: true,
  },
  {
    name: 'depthwise with stride and dilation',
    x: [5, 3, 8, 7],
    w: [3, 1, 2, 3],
    attributes: { group: { int: 3 }, strides: ints(2, 1), dilations: ints(2, 2), pads: ints(0, 1, 1, 2) },
  },
  { name: 'depthwise with two filters a channel', x: [5, 3, 5, 5], w: [6, 1, 3, 3], attributes: { group: { int: 3 } } },
  { name: 'depthwise of kernel 1', x: [5, 3, 4, 4], w: [3, 1, 1, 1], attributes: { group: { int: 3 } } },
  {
    name: 'auto_pad SAME_UPPER',
    x: [5, 2, 6, 5],
    w: [3, 2, 3, 2],
    attributes: { auto_pad: { string: 'SAME_UPPER' }, strides: ints(2, 2) },
  },
  { name: 'auto_pad SAME_LOWER', x: [5, 2, 6, 5], w: [3, 2, 2, 4], attributes: { auto_pad: { string: 'SAME_LOWER' } } },
  { name: 'auto_pad VALID', x: [5, 2, 6, 5], w: [3, 2, 2, 4], attributes: { auto_pad: { string: 'VALID' } } },
  { name: 'three axes', x: [2, 2, 4, 3, 4], w: [2, 2, 2, 2, 3], attributes: { pads: ints(0, 1, 0, 1, 0, 1) } },
]
for (const { name, x, w, attributes, bias } of convs) {
  gradientTest(`Conv: ${name}`, {
    ...linear,
    inputs: { x, w, ...(bias === true ? { b: [w[0] ?? 0] } : {}) },
    nodes: [node('Conv', bias === true ? ['x', 'w', 'b'] : ['x', 'w'], 'y', attributes)],
  })
}

const transposed: readonly Case[] = [
  {
    name: 'stride 2',
    x: [5, 3, 4, 3],
    w: [3, 2, 3, 3],
    attributes: { strides: ints(2, 2), pads: ints(1, 1, 1, 1), output_padding: ints(1, 0) },
    bias: true,
  },
  {
    name: 'stride equal to the kernel',
    x: [5, 3, 3, 3],
    w: [3, 4, 2, 2],
    attributes: { strides: ints(2, 2) },
    bias: true,
  },
  { name: 'dilation', x: [5, 2, 4, 4], w: [2, 3, 2, 3], attributes: { dilations: ints(2, 1), pads: ints(0, 1, 1, 0) } },
  { name: 'groups', x: [5, 4, 3, 3], w: [4, 3, 2, 2], attributes: { group: { int: 2 } }, bias: true },
  { name: 'depthwise', x: [5, 3, 3, 4], w: [3, 1, 3, 3], attributes: { group: { int: 3 }, strides: ints(2, 2) } },
  { name: 'one axis', x: [5, 3, 5], w: [3, 2, 4], attributes: { strides: ints(3) } },
  // As tf2onnx writes Conv2DTranspose; an odd number of pads shows at which end one more of them is.
  ...['NOTSET', 'SAME_UPPER', 'SAME_LOWER'].map(auto => ({
    name: `output_shape and auto_pad ${auto}`,
    x: [5, 3, 3, 4],
    w: [3, 2, 3, 3],
    attributes: { strides: ints(2, 2), output_shape: ints(6, 8), auto_pad: { string: auto } },
  })),
  ...['SAME_UPPER', 'SAME_LOWER', 'VALID'].map(auto => ({
    name: `auto_pad ${auto}`,
    x: [5, 3, 3, 4],
    w: [3, 2, 3, 2],
    attributes: { strides: ints(2, 1), auto_pad: { string: auto } },
  })),
]
for (const { name, x, w, attributes, bias } of transposed) {
  const filters =
    (w[1] ?? 0) * (attributes?.group !== undefined && 'int' in attributes.group ? attributes.group.int : 1)
  gradientTest(`ConvTranspose: ${name}`, {
    ...linear,
    inputs: { x, w, ...(bias === true ? { b: [filters] } : {}) },
    nodes: [node('ConvTranspose', bias === true ? ['x', 'w', 'b'] : ['x', 'w'], 'y', attributes)],
  })
}

const means: Record<string, Record<string, Attribute>> = {
  'touching windows': { kernel_shape: ints(2, 2), strides: ints(2, 2) },
  'overlapping windows': { kernel_shape: ints(3, 3), strides: ints(2, 1) },
  'padding that does not count': { kernel_shape: ints(3, 3), strides: ints(2, 2), pads: ints(1, 1, 1, 1) },
  'padding that counts': { kernel_shape: ints(3, 2), pads: ints(1, 1, 1, 0), count_include_pad: { int: 1 } },
  'windows that overhang': { kernel_shape: ints(2, 2), strides: ints(2, 2), ceil_mode: { int: 1 } },
  auto_pad: { kernel_shape: ints(3, 3), strides: ints(2, 2), auto_pad: { string: 'SAME_UPPER' } },
}
for (const [name, attributes] of Object.entries(means)) {
  gradientTest(`AveragePool: ${name}`, {
    ...linear,
    inputs: { x: [5, 2, 7, 6] },
    nodes: [node('AveragePool', ['x'], 'y', attributes)],
  })
}
gradientTest('GlobalAveragePool', {
  ...linear,
  inputs: { x: [5, 2, 4, 3] },
  nodes: [node('GlobalAveragePool', ['x'], 'y')],
})

const pools: Record<string, Record<string, Attribute>> = {
  'overlapping windows, as in ResNet': { kernel_shape: ints(3, 3), strides: ints(2, 2), pads: ints(1, 1, 1, 1) },
  'windows that overhang': { kernel_shape: ints(3, 3), strides: ints(2, 2), ceil_mode: { int: 1 } },
  dilation: { kernel_shape: ints(2, 2), dilations: ints(2, 3) },
  'touching windows that overhang': { kernel_shape: ints(4, 4), strides: ints(4, 4), ceil_mode: { int: 1 } },
  auto_pad: { kernel_shape: ints(2, 2), auto_pad: { string: 'SAME_LOWER' } },
}
for (const [name, attributes] of Object.entries(pools)) {
  gradientTest(`MaxPool: ${name}`, { inputs: { x: [5, 2, 7, 6] }, nodes: [node('MaxPool', ['x'], 'y', attributes)] })
}
gradientTest('MaxPool of one axis', {
  inputs: { x: [5, 2, 9] },
  nodes: [node('MaxPool', ['x'], 'y', { kernel_shape: ints(3), strides: ints(2) })],
})
gradientTest('GlobalMaxPool', {
  dtype: 'float32',
  inputs: { x: [5, 2, 4, 3] },
  definition: ({ x = new Float64Array() }) =>
    Array.from({ length: 10 }, (_, plane) => Math.max(...x.subarray(plane * 12, (plane + 1) * 12))),
  nodes: [node('GlobalMaxPool', ['x'], 'y')],
})
