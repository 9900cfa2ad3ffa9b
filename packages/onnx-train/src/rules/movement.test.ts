import assert from 'node:assert/strict'
import { test } from 'node:test'
import { between, checkGradients, float64, gradientTest, int64 } from '../testing/gradient-cases.ts'
import { node } from '../testing/model-of.ts'

const shape = [5, 3, 4]

for (const perm of [undefined, [0, 2, 1], [2, 0, 1]]) {
  gradientTest(`Transpose ${perm ?? ''}`, {
    inputs: { x: shape },
    nodes: [node('Transpose', ['x'], 'y', perm === undefined ? {} : { perm: { ints: perm } })],
  })
}
gradientTest('Reshape, Squeeze, Unsqueeze and Flatten', {
  inputs: { x: [5, 3, 4] },
  constants: { target: int64([4], 0, 1, 4, 3), two: int64([1], 2), one: int64([1], 1) },
  nodes: [
    node('Reshape', ['x', 'target'], 'r'),
    node('Squeeze', ['r', 'one'], 's'),
    node('Unsqueeze', ['s', 'two'], 'u'),
    node('Flatten', ['u'], 'y', { axis: { int: -1 } }),
  ],
})
gradientTest('Reshape to a shape that is computed, as exporters write it', {
  inputs: { x: [5, 3, 4] },
  constants: { zero: int64([], 0), axis: int64([1], 0), rest: int64([1], -1) },
  nodes: [
    node('Shape', ['x'], 's'),
    node('Gather', ['s', 'zero'], 'batch'),
    node('Unsqueeze', ['batch', 'axis'], 'batches'),
    node('Concat', ['batches', 'rest'], 'target', { axis: { int: 0 } }),
    node('Reshape', ['x', 'target'], 'y'),
  ],
})
gradientTest('Concat along an axis', {
  inputs: { x: shape },
  nodes: [
    node('Mul', ['x', 'x'], 'm'),
    node('Concat', ['x', 'm'], 'c', { axis: { int: 1 } }),
    node('Concat', ['c', 'c', 'x'], 'y', { axis: { int: -2 } }),
  ],
})
gradientTest('Concat of parameters', {
  inputs: { x: [5, 4], a: [1, 4], b: [2, 4] },
  nodes: [
    node('Concat', ['a', 'b'], 'c', { axis: { int: 0 } }),
    node('ReduceSum', ['c'], 's', { keepdims: { int: 0 } }),
    node('Mul', ['x', 's'], 'y'),
  ],
})
gradientTest('Split of which one part is not used', {
  inputs: { x: [5, 6] },
  constants: { sizes: int64([3], 1, 3, 2) },
  nodes: [
    node('Split', ['x', 'sizes'], ['a', 'b', 'c'], { axis: { int: 1 } }),
    node('Concat', ['c', 'a', 'c'], 'y', { axis: { int: 1 } }),
  ],
})
gradientTest('Split into equal parts whose first output is not used', {
  inputs: { x: [5, 6] },
  nodes: [
    node('Split', ['x'], ['a', 'b'], { axis: { int: -1 }, num_outputs: { int: 2 } }),
    node('Mul', ['b', 'b'], 'y'),
  ],
})
for (const [name, starts, ends, axes, steps] of [
  ['from the middle', [1, -3], [3, 100], [2, 1], [1, 1]],
  ['with steps', [0, 1], [3, 4], [1, 2], [2, 2]],
  ['backwards', [-1], [-100], [2], [-1]],
  ['backwards with a step', [3, 2], [0, -5], [-1, 1], [-2, -1]],
  ['of the whole batch', [0, 1], [2 ** 53, 2], [0, 1], [1, 1]],
] as const) {
  gradientTest(`Slice ${name}`, {
    inputs: { x: shape },
    constants: {
      starts: int64([starts.length], ...starts),
      ends: int64([ends.length], ...ends),
      axes: int64([axes.length], ...axes),
      steps: int64([steps.length], ...steps),
    },
    nodes: [node('Slice', ['x', 'starts', 'ends', 'axes', 'steps'], 'y')],
  })
}
gradientTest('Pad, also by less than nothing', {
  inputs: { x: shape },
  constants: { pads: int64([6], 0, 1, -1, 0, 2, 1), value: float64([], 3) },
  nodes: [node('Pad', ['x', 'pads', 'value'], 'y')],
})
gradientTest('Pad of the axes that are given', {
  inputs: { x: shape },
  constants: { pads: int64([2], 1, 2), axes: int64([1], -1) },
  nodes: [node('Pad', ['x', 'pads', '', 'axes'], 'y')],
})
gradientTest('Expand of a parameter', {
  inputs: { a: [3, 1] },
  constants: { wide: int64([3], 2, 3, 2) },
  nodes: [node('Expand', ['a', 'wide'], 'y')],
})
gradientTest('Expand of the data', {
  inputs: { x: [5, 1, 4] },
  constants: { target: int64([4], 2, 1, 3, 1) },
  nodes: [node('Expand', ['x', 'target'], 'y')],
})
gradientTest('Tile', {
  inputs: { x: [5, 3, 2] },
  constants: { repeats: int64([3], 2, 1, 3) },
  nodes: [node('Tile', ['x', 'repeats'], 'y')],
})
for (const mode of ['DCR', 'CRD']) {
  gradientTest(`DepthToSpace in ${mode} order`, {
    inputs: { x: [5, 8, 2, 3] },
    nodes: [node('DepthToSpace', ['x'], 'y', { blocksize: { int: 2 }, mode: { string: mode } })],
  })
}
gradientTest('SpaceToDepth', {
  inputs: { x: [5, 2, 4, 6] },
  nodes: [node('SpaceToDepth', ['x'], 'y', { blocksize: { int: 2 } })],
})
gradientTest('Gather of rows of an embedding, some of them twice', {
  inputs: { w: [4, 3] },
  constants: { i: int64([2, 3], 0, 3, 3, -1, 1, 0) },
  nodes: [node('Gather', ['w', 'i'], 'y')],
})
gradientTest('Gather of one index', {
  inputs: { x: shape },
  constants: { i: int64([], 1) },
  nodes: [node('Gather', ['x', 'i'], 'y', { axis: { int: 1 } })],
})
gradientTest('Gather of several indices along the last axis', {
  inputs: { x: shape },
  constants: { i: int64([2, 2], 1, -1, 0, 1) },
  nodes: [node('Gather', ['x', 'i'], 'y', { axis: { int: -1 } })],
})
gradientTest('GatherElements', {
  inputs: { w: [3, 4] },
  constants: { i: int64([2, 4], 0, 2, 1, 0, 0, 2, 0, 1) },
  nodes: [node('GatherElements', ['w', 'i'], 'y', { axis: { int: 0 } })],
})
gradientTest('GatherND', {
  inputs: { w: [3, 4, 2] },
  constants: { i: int64([3, 2], 0, 1, 2, 3, 0, 1) },
  nodes: [node('GatherND', ['w', 'i'], 'y')],
})
for (const reduction of ['none', 'add']) {
  gradientTest(`ScatterND with reduction ${reduction}`, {
    inputs: { w: [4, 3], u: [2, 3] },
    constants: { i: int64([2, 1], 3, 1) },
    nodes: [node('ScatterND', ['w', 'i', 'u'], 'y', { reduction: { string: reduction } })],
  })
  gradientTest(`ScatterElements with reduction ${reduction}`, {
    inputs: { w: [4, 3], u: [2, 3] },
    constants: { i: int64([2, 3], 3, 1, 0, 0, 2, 1) },
    nodes: [node('ScatterElements', ['w', 'i', 'u'], 'y', { reduction: { string: reduction } })],
  })
}
for (const [exclusive, reverse] of [
  [0, 0],
  [1, 0],
  [1, 1],
] as const) {
  gradientTest(`CumSum, exclusive ${exclusive}, reverse ${reverse}`, {
    inputs: { x: shape },
    constants: { axis: int64([], 1) },
    nodes: [node('CumSum', ['x', 'axis'], 'y', { exclusive: { int: exclusive }, reverse: { int: reverse } })],
  })
}
gradientTest('Trilu', {
  inputs: { x: shape },
  constants: { k: int64([], 1) },
  nodes: [node('Trilu', ['x', 'k'], 'y', { upper: { int: 0 } })],
})
for (const [equation, a, b] of [
  ['ij,jk->ik', [5, 3], [3, 4]],
  ['bij,jk->bik', [5, 2, 3], [3, 4]],
  ['bhid,jd->bhij', [5, 2, 3, 4], [6, 4]],
  ['bi,oi', [5, 3], [4, 3]],
  ['...ij,jk->...ik', [5, 2, 3], [3, 4]],
  ['i,j->ij', [5], [3]],
] as const) {
  gradientTest(`Einsum ${equation}`, {
    inputs: { x: a, b },
    nodes: [node('Einsum', ['x', 'b'], 'y', { equation: { string: equation } })],
  })
}

const reductions = 'ReduceSum ReduceMean ReduceMax ReduceMin ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSumExp'.split(
  ' ',
)
for (const op of reductions) {
  for (const [axes, keepdims] of [
    [[1], 1],
    [[-1, 1], 0],
    [[0, 2], 0],
    [[], 1],
  ] as const) {
    gradientTest(`${op} over [${axes}] with keepdims ${keepdims}`, {
      inputs: { x: shape },
      constants: { axes: int64([axes.length], ...axes) },
      nodes: [node(op, axes.length === 0 ? ['x'] : ['x', 'axes'], 'y', { keepdims: { int: keepdims } })],
    })
  }
}

test('forms that no rule handles are refused with the name of the node', async () => {
  const refusal = { code: 'OPERATOR_FORM_UNSUPPORTED', nodeName: 'y_node' }
  const equation = (text: string) => ({ equation: { string: text } })
  const pads = { pads: int64([4], 0, 1, 0, 1) }
  for (const given of [
    { inputs: { w: [3, 3] }, nodes: [node('Einsum', ['w'], 'y', equation('ii->i'))] },
    { inputs: { x: [5, 3], b: [4, 2] }, nodes: [node('Einsum', ['x', 'b'], 'y', equation('ij,kl->il'))] },
    { inputs: { x: [5, 3] }, constants: pads, nodes: [node('Pad', ['x', 'pads'], 'y', { mode: { string: 'edge' } })] },
  ]) {
    await assert.rejects(checkGradients(given), refusal)
  }
})

for (const index of [[], [3]]) {
  gradientTest(`Gather by 32-bit indices of shape [${index}], as Keras embeds tokens`, {
    inputs: { x: [2, 3], w: [4, 3] },
    constants: { i: { dtype: 'int32', shape: index, data: Int32Array.of(1, -1, 1).subarray(0, index[0] ?? 1) } },
    nodes: [
      node('Gather', ['w', 'i'], 'g'),
      node('Mul', ['g', 'g'], 'h'),
      node('ReduceSum', ['h'], 'r', { keepdims: { int: 0 } }),
      node('Mul', ['x', 'r'], 'y'),
    ],
  })
}
for (const op of ['ReduceL1', 'ReduceL2', 'ReduceSumSquare', 'ReduceMean', 'ReduceLogSumExp']) {
  for (const keepdims of [0, 1]) {
    gradientTest(`${op} over no axis, keepdims ${keepdims}`, {
      inputs: { x: [2, 3] },
      nodes: [node(op, ['x'], 'y', { noop_with_empty_axes: { int: 1 }, keepdims: { int: keepdims } })],
    })
  }
}
gradientTest('MatMul whose right matrix is as long as the batch', {
  inputs: { x: [2, 3], a: [4, 1, 3] },
  nodes: [node('Transpose', ['x'], 't'), node('MatMul', ['a', 't'], 'm'), node('MatMul', ['m', 'x'], 'y')],
})
gradientTest('AveragePool whose channels are the batch', {
  inputs: { x: [2, 3, 4, 4] },
  dtype: 'float32',
  step: 1,
  tolerance: 1e-5,
  nodes: [
    node('Transpose', ['x'], 't', { perm: { ints: [1, 0, 2, 3] } }),
    node('AveragePool', ['t'], 'y', { kernel_shape: { ints: [2, 2] } }),
  ],
})

test('a gradient that no rule knows is refused and not taken for zero', async () => {
  const refused = (nodeName: string) => ({ code: 'OPERATOR_FORM_UNSUPPORTED', nodeName })
  const of = (equation: string) => ({ equation: { string: equation } })
  await assert.rejects(
    checkGradients({
      inputs: { x: [2, 3], v: [] },
      constants: { p: int64([4], 0, 1, 0, 2) },
      nodes: [node('Mul', ['v', 'v'], 's'), node('Pad', ['x', 'p', 's'], 'y')],
    }),
    refused('y_node'),
  )
  await assert.rejects(
    checkGradients({
      inputs: { x: [4, 3], s: [3], b: [3], m: [3], v: between(0.5, 1, [3]) },
      nodes: [node('Sqrt', ['v'], 'r'), node('BatchNormalization', ['x', 's', 'b', 'm', 'r'], 'y')],
    }),
    refused('y_node'),
  )
  await assert.rejects(
    checkGradients({
      inputs: { x: [2, 3, 4], b: [1, 4, 2] },
      nodes: [node('Einsum', ['x', 'b'], 'y', of('bij,bjk->bik'))],
    }),
    refused('y_node'),
  )
  await assert.rejects(
    checkGradients({
      inputs: { x: [4, 3] },
      nodes: [node('Split', ['x'], ['a', 'b'], { num_outputs: { int: 2 } }), node('Mul', ['a', 'b'], 'y')],
    }),
    refused('a_node'),
  )
})
