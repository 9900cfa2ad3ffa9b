import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Node } from '../graph.ts'
import { type GradientCase, gradientTest, int64 } from '../testing/gradient-cases.ts'
import { node, randomTensor } from '../testing/model-of.ts'
import { ortRunner } from '../testing/ort-runner.ts'
import { inferAndLower } from './infer-and-lower.ts'

const scalar = (value: number) => ({ dtype: 'float64', shape: [], data: Float64Array.of(value) }) as const
const bool = { dtype: 'bool', shape: [], data: Uint8Array.of(1) } as const

/** Operators of the graph as it is differentiated. */
const simplified = async ({ inputs, constants = {}, nodes }: GradientCase): Promise<string[]> => {
  const parameters = Object.entries(inputs).flatMap(([name, shape]) =>
    name === 'x' || !Array.isArray(shape) ? [] : [{ name, dtype: 'float64' as const, shape: shape as number[] }],
  )
  const graph = {
    name: 'test',
    inputs: [{ name: 'x', dtype: 'float64' as const, shape: ['batch', ...(inputs.x as number[]).slice(1)] }],
    outputs: [{ name: nodes.at(-1)?.outputs[0] ?? '' }],
    constants: new Map(Object.entries(constants)),
    nodes,
  }
  const lowered = await inferAndLower(graph, parameters, 18, ortRunner)
  return lowered.graph.nodes.map(({ op }) => op)
}

/** The gradient is right, and the graph it is of has these operators. */
const becomes = (name: string, given: GradientCase, operators: readonly string[]): void => {
  gradientTest(name, given)
  test(`${name}: ${operators.join(', ')}`, async () => assert.deepEqual(await simplified(given), operators))
}

const slice = (bounds: readonly [string, string], output: string, axis = 'one'): Node =>
  node('Slice', ['x', ...bounds, axis], output)
const bounds = {
  zero: int64([1], 0),
  one: int64([1], 1),
  two: int64([1], 2),
  end: int64([1], 2 ** 40),
  last: int64([1], -1),
}

becomes(
  'slices that part an axis',
  {
    inputs: { x: [3, 4, 2] },
    constants: { ...bounds, weight: randomTensor('float64', [4, 2], 7) },
    nodes: [
      slice(['last', 'end'], 'c'),
      slice(['zero', 'two'], 'a'),
      slice(['two', 'last'], 'b'),
      node('Concat', ['b', 'a', 'c'], 'z', { axis: { int: 1 } }),
      node('Mul', ['z', 'weight'], 'y'),
    ],
  },
  ['Split', 'Concat', 'Mul'],
)
becomes(
  'slices that overlap',
  {
    inputs: { x: [3, 4, 2] },
    constants: bounds,
    nodes: [slice(['zero', 'two'], 'a'), slice(['one', 'last'], 'b'), node('Mul', ['a', 'b'], 'y')],
  },
  ['Slice', 'Slice', 'Mul'],
)
becomes(
  'equal slices beside the rest of the axis',
  {
    inputs: { x: [3, 4, 2] },
    constants: bounds,
    nodes: [
      slice(['zero', 'two'], 'a'),
      slice(['zero', 'two'], 'a_again'),
      slice(['two', 'end'], 'b'),
      node('Mul', ['a', 'b'], 'product'),
      node('Add', ['product', 'a_again'], 'y'),
    ],
  },
  ['Split', 'Mul', 'Add'],
)
const rows = { first: int64([], 0), second: int64([], 1), third: int64([], -1) }
const gather = (index: string, output: string): Node => node('Gather', ['x', index], output, { axis: { int: 1 } })
becomes(
  'every row gathered by itself',
  {
    inputs: { x: [2, 3, 2] },
    constants: rows,
    nodes: [
      gather('second', 'b'),
      gather('third', 'c'),
      gather('first', 'a'),
      node('Mul', ['a', 'b'], 'ab'),
      node('Mul', ['ab', 'c'], 'y'),
    ],
  },
  ['Split', 'Squeeze', 'Squeeze', 'Squeeze', 'Mul', 'Mul'],
)
becomes(
  'one row gathered',
  { inputs: { x: [2, 3, 2] }, constants: rows, nodes: [gather('third', 'c'), node('Mul', ['c', 'c'], 'y')] },
  ['Slice', 'Squeeze', 'Mul'],
)

const linear = (matrix: string): Node[] => [
  node('MatMul', ['x', matrix], 'product'),
  node('Add', ['b', 'product'], 'y'),
]
becomes(
  'a linear layer over sequences',
  {
    inputs: { x: [2, 3, 4], w: [5, 4], b: [5] },
    nodes: [node('Transpose', ['w'], 't', { perm: { ints: [1, 0] } }), ...linear('t')],
  },
  ['Reshape', 'Gemm', 'Reshape'],
)
becomes('a linear layer over examples', { inputs: { x: [3, 4], w: [4, 5], b: [5] }, nodes: linear('w') }, ['Gemm'])
becomes('a product whose bias is a matrix', { inputs: { x: [2, 3, 4], w: [4, 5], b: [3, 5] }, nodes: linear('w') }, [
  'Reshape',
  'Gemm',
  'Reshape',
  'Add',
])
becomes(
  'a product that is read beside its sum',
  {
    inputs: { x: [3, 4], w: [4, 5], b: [5] },
    nodes: [...linear('w').slice(0, 1), node('Add', ['product', 'b'], 'sum'), node('Mul', ['sum', 'product'], 'y')],
  },
  ['Gemm', 'Add', 'Mul'],
)
becomes(
  'a shape computed from the batch',
  {
    inputs: { x: [2, 3, 4] },
    constants: { index: int64([1], 0), rest: int64([1], 12) },
    nodes: [
      node('Shape', ['x'], 'shape'),
      node('Gather', ['shape', 'index'], 'batch'),
      node('Concat', ['batch', 'rest'], 'target', { axis: { int: 0 } }),
      node('Reshape', ['x', 'target'], 'flat'),
      node('Mul', ['flat', 'flat'], 'y'),
    ],
  },
  ['Reshape', 'Mul'],
)
becomes(
  'a Dropout of nothing',
  {
    inputs: { x: [2, 3] },
    constants: { ratio: scalar(0), training: bool },
    nodes: [
      node('Mul', ['x', 'x'], 'squared'),
      node('Dropout', ['squared', 'ratio', 'training'], 'kept'),
      node('Mul', ['kept', 'x'], 'y'),
    ],
  },
  ['Mul', 'Mul'],
)
