import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gradientTest, int64 } from '../testing/gradient-cases.ts'
import { node } from '../testing/model-of.ts'
import { sliceSequences } from './slice-sequences.ts'

const at = (split: readonly string[], keepdims = 1) => [
  node('SplitToSequence', ['x', ...split], 'parts', { axis: { int: 1 }, keepdims: { int: keepdims } }),
  node('SequenceAt', ['parts', 'first'], 'a'),
  node('SequenceAt', ['parts', 'second'], 'b'),
  node('Mul', ['a', 'b'], 'y'),
]
const indices = { first: int64([], 0), second: int64([], 1) }

gradientTest('parts of a sequence of equal sizes', {
  inputs: { x: [5, 6] },
  constants: { ...indices, size: int64([], 3) },
  nodes: at(['size']),
})
gradientTest('parts of a sequence of sizes that are listed', {
  inputs: { x: [5, 6] },
  constants: { first: int64([], 1), second: int64([], -1), sizes: int64([3], 2, 2, 2) },
  nodes: at(['sizes']),
})
gradientTest('parts of a sequence of single rows', { inputs: { x: [5, 3] }, constants: indices, nodes: at([], 0) })

test('a sequence whose sizes are computed stays as it is', () => {
  const graph = {
    name: 'test',
    inputs: [],
    outputs: [{ name: 'y' }],
    constants: new Map(Object.entries(indices)),
    nodes: at(['computed']),
  }
  assert.deepEqual(sliceSequences(graph).nodes, graph.nodes)
})
