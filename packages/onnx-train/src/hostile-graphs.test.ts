import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compileTraining } from './compile-training.ts'
import type { Attribute, Node } from './graph.ts'
import { OnnxModelError } from './onnx-model-error.ts'
import { readModel } from './read-model.ts'
import type { Tensor } from './tensor.ts'
import { int64 } from './testing/gradient-cases.ts'
import { modelOf, node, randomTensor } from './testing/model-of.ts'
import { ortRunner } from './testing/ort-runner.ts'
import { TrainingSession } from './testing/train-loop.ts'
import { writeModel } from './write-model.ts'

const constants = {
  w: randomTensor('float32', [2, 1, 3, 3], 1),
  b: randomTensor('float32', [2], 2),
  v: randomTensor('float32', [3, 8], 3),
  c: randomTensor('float32', [3], 4),
}
const small = writeModel(
  modelOf('float32', [1, 6, 6], constants, [
    node('Conv', ['x', 'w', 'b'], 'a', { kernel_shape: { ints: [3, 3] }, pads: { ints: [0, 0, 0, 0] } }),
    node('Relu', ['a'], 'r'),
    node('MaxPool', ['r'], 'p', { kernel_shape: { ints: [2, 2] }, strides: { ints: [2, 2] } }),
    node('Flatten', ['p'], 'f'),
    node('Gemm', ['f', 'v', 'c'], 'y', { transB: { int: 1 } }),
  ]),
)

const ints = (...values: number[]): Attribute => ({ ints: values })
const vision = writeModel(
  modelOf(
    'float32',
    [2, 6, 6],
    {
      d: randomTensor('float32', [2, 1, 3, 3], 1),
      s: randomTensor('float32', [2], 2),
      b: randomTensor('float32', [2], 3),
      m: randomTensor('float32', [2], 4),
      v: randomTensor('float32', [2], 5),
      u: randomTensor('float32', [4, 2, 2, 2], 6),
      g: randomTensor('float32', [4, 3, 2, 2], 6),
      starts: int64([1], 1),
      ends: int64([1], 5),
      axes: int64([1], 2),
      steps: int64([1], 2),
      pads: int64([8], 0, 0, 1, 0, 0, 0, 0, 1),
      scales: { dtype: 'float32', shape: [4], data: Float32Array.of(1, 1, 2, 2) },
      means: int64([2], 2, 3),
    },
    [
      node('Conv', ['x', 'd'], 'c1', { group: { int: 2 }, auto_pad: { string: 'SAME_UPPER' } }),
      node('BatchNormalization', ['c1', 's', 'b', 'm', 'v'], ['n', 'm1', 'v1'], { training_mode: { int: 1 } }),
      node('HardSwish', ['n'], 'h'),
      node('AveragePool', ['h'], 'p', { kernel_shape: ints(3, 3), strides: ints(1, 1), pads: ints(1, 1, 1, 1) }),
      node('MaxPool', ['p'], 'q', { kernel_shape: ints(3, 3), strides: ints(2, 2), ceil_mode: { int: 1 } }),
      node('Resize', ['q', '', 'scales'], 'r', { mode: { string: 'linear' } }),
      node('Concat', ['r', 'x'], 'k', { axis: { int: 1 } }),
      node('Conv', ['k', 'u'], 'c2', { group: { int: 2 }, strides: ints(2, 2), pads: ints(0, 1, 1, 0) }),
      node('ConvTranspose', ['c2', 'g'], 'c3', { strides: ints(2, 2) }),
      node('Pad', ['c3', 'pads'], 'e'),
      node('Slice', ['e', 'starts', 'ends', 'axes', 'steps'], 't'),
      node('ReduceMean', ['t', 'means'], 'y', { keepdims: { int: 0 } }),
    ],
    18,
  ),
)
const sequences = writeModel(
  modelOf(
    'float32',
    [4, 3],
    {
      w: randomTensor('float32', [1, 8, 3], 1),
      r: randomTensor('float32', [1, 8, 2], 2),
      s: randomTensor('float32', [2], 3),
      q: randomTensor('float32', [2, 2], 4),
      i: int64([2], 1, 3),
      three: int64([], 3),
      axis: int64([1], 2),
      sizes: int64([2], 1, 1),
    },
    [
      node('Transpose', ['x'], 'a', { perm: ints(1, 0, 2) }),
      node('LSTM', ['a', 'w', 'r'], 'l', { hidden_size: { int: 2 } }),
      node('Transpose', ['l'], 'o', { perm: ints(2, 0, 1, 3) }),
      node('ReduceMax', ['o', 'axis'], 'p', { keepdims: { int: 0 } }),
      node('LayerNormalization', ['p', 's'], 'n', { axis: { int: -1 } }),
      node('MatMul', ['n', 'q'], 'm'),
      node('Softmax', ['m'], 'f', { axis: { int: 1 } }),
      node('Einsum', ['f', 'm'], 'e', { equation: { string: 'btd,bsd->bts' } }),
      node('Gather', ['e', 'i'], 'g', { axis: { int: 1 } }),
      node('Split', ['g', 'sizes'], ['g1', 'g2'], { axis: { int: 1 } }),
      node('Sub', ['g1', 'g2'], 'h'),
      node('Gelu', ['h'], 'u', { approximate: { string: 'tanh' } }),
      node('Flatten', ['u'], 'y'),
    ],
    20,
  ),
)

for (const [name, whole, runs, examples] of [
  // transB = 2: the runtime takes it for true, and 1 − transB is no flag.
  ['a convolutional network', small, 500, [[[[238, 2]]]]],
  // ReduceMean over the axes 2 and 2.
  ['a network of layers for images', vision, 300, [[[[1472, 2]]]]],
  ['a network of layers for sequences', sequences, 300, []],
] as const) {
  test(`${name} with any bytes changed compiles to a graph that loads, or is refused with a typed error`, async () => {
    const patches = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 })
    await fc.assert(
      fc.asyncProperty(patches, changes => compilesOrIsRefused(whole, changes)),
      { numRuns: runs, examples: examples as unknown as [[number, number][]][] },
    )
  })
}

const compilesOrIsRefused = async (
  whole: Uint8Array,
  changes: readonly (readonly [number, number])[],
): Promise<void> => {
  const bytes = whole.slice()
  for (const [at, value] of changes) bytes[at] = value
  try {
    const model = readModel(bytes, { maxBytes: 1e6 })
    const options = { loss: 'softmax-cross-entropy', optimizer: 'sgd', form: 'loop' } as const
    const session = await TrainingSession.open(await compileTraining(model, options, ortRunner))
    await session[Symbol.asyncDispose]()
  } catch (error) {
    assert.ok(error instanceof OnnxModelError, error instanceof Error ? error.stack : 'not an error')
  }
}

test('the networks that are damaged here compile while they are whole', async () => {
  for (const whole of [small, vision, sequences]) {
    const options = { loss: 'softmax-cross-entropy', optimizer: 'sgd', form: 'loop' } as const
    const compiled = await compileTraining(readModel(whole, { maxBytes: 1e6 }), options, ortRunner)
    await using session = await TrainingSession.open(compiled)
    assert.ok(session)
  }
})

test('what would exhaust or end the process is refused before it runs', async () => {
  const w = randomTensor('float32', [4, 3], 1)
  const compile = (constants: Record<string, Tensor>, nodes: readonly Node[]) => {
    const model = modelOf('float32', [4], { w, ...constants }, [...nodes, node('MatMul', ['a', 'w'], 'y')], 18)
    return compileTraining(model, { loss: 'softmax-cross-entropy', optimizer: 'sgd', form: 'loop' }, ortRunner)
  }
  const enormous = { code: 'MALFORMED', nodeName: 'a_node' }
  await assert.rejects(compile({ r: int64([2], 1, 2 ** 40) }, [node('Tile', ['x', 'r'], 'a')]), enormous)
  await assert.rejects(compile({ p: int64([4], 0, 0, 2 ** 20, 2 ** 20) }, [node('Pad', ['x', 'p'], 'a')]), enormous)
  const pieces = {
    r: int64([1], 2 ** 27),
    e: int64([1], 4),
    o: { dtype: 'float32', shape: [1, 1], data: new Float32Array(1) },
  } as const
  const together = [
    node('Concat', ['r', 'e'], 's', { axis: { int: 0 } }),
    node('Expand', ['o', 's'], 'l'),
    node('ReduceMean', ['l'], 'm'),
    node('Add', ['x', 'm'], 'a'),
  ]
  await assert.rejects(compile(pieces, together), { code: 'MALFORMED', nodeName: 'l_node' })
  const beyond = [node('LayerNormalization', ['x', 'w'], 'a', { axis: { int: 2 ** 31 } })]
  const noAxis = { code: 'MALFORMED', nodeName: 'a_node', message: /no tensor has such an axis/ }
  assert.throws(() => compile({}, beyond), noAxis)
  const drawn = [node('RandomNormal', [], 'n', { shape: ints(2 ** 20, 2 ** 20) }), node('Add', ['x', 'n'], 'a')]
  await assert.rejects(compile({}, drawn), { code: 'MALFORMED', nodeName: 'n_node' })
  const pool = { kernel_shape: ints(2), pads: ints(2 ** 30, 0) }
  await assert.rejects(compile({}, [node('MaxPool', ['x'], 'a', pool)]), enormous)
  // onnxruntime 1.30 ends the process at the second slice, and at whatever slices what Pad left.
  const bounds = { from: int64([1], 4), to: int64([1], 4), axis: int64([1], 1), back: int64([1], -1) }
  const nothing = [
    node('Slice', ['x', 'from', 'to', 'axis'], 's'),
    node('Slice', ['s', 'from', 'to', 'axis', 'back'], 'a'),
  ]
  const shrunk = { code: 'OPERATOR_FORM_UNSUPPORTED', nodeName: 'a_node' }
  await assert.rejects(compile(bounds, nothing), shrunk)
  await assert.rejects(compile({ p: int64([4], 0, -3, 0, -2) }, [node('Pad', ['x', 'p'], 'a')]), shrunk)
})
