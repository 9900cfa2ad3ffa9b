import assert from 'node:assert/strict'
import { test } from 'node:test'
import { float64, gradientsOf, gradientTest } from '../testing/gradient-cases.ts'
import { node, randomTensor } from '../testing/model-of.ts'

const training = { dtype: 'bool', shape: [], data: Uint8Array.of(1) } as const

test('gradients pass through Dropout where values passed, and are scaled as values are', async () => {
  const [x, w] = [randomTensor('float64', [20, 5], 1), randomTensor('float64', [5], 2)]
  const { gradients, cotangent } = await gradientsOf({
    inputs: { x, w },
    constants: { ratio: float64([], 0.75), training },
    nodes: [node('Dropout', ['x', 'ratio', 'training'], 'd'), node('Mul', ['d', 'w'], 'y')],
  })
  const [dX, dW, r, weights, data] = [gradients.get('x'), gradients.get('w'), cotangent, w, x].map(
    tensor => tensor?.data as Float64Array,
  ) as [Float64Array, Float64Array, Float64Array, Float64Array, Float64Array]
  // dX = r·w·m, where m is 0 or 1/(1 − ratio) = 4, and dW = Σ r·x·m, with the m of the same run.
  const masks = dX.map((value, index) => value / ((r[index] ?? 0) * (weights[index % 5] ?? 0)))
  assert.deepEqual([...new Set(masks.map(Math.round))].sort(), [0, 4])
  const expected = new Float64Array(5)
  masks.forEach((mask, index) => {
    expected[index % 5] = (expected[index % 5] ?? 0) + (r[index] ?? 0) * (data[index] ?? 0) * mask
  })
  for (const [index, value] of expected.entries()) assert.ok(Math.abs(value - (dW[index] ?? 0)) < 1e-12)
})

gradientTest('Dropout that is not training', {
  inputs: { x: [5, 3] },
  constants: { ratio: float64([], 0.75) },
  nodes: [node('Dropout', ['x', 'ratio'], 'y')],
})
gradientTest('Dropout of nothing', {
  inputs: { x: [5, 3] },
  constants: { ratio: float64([], 0), training },
  nodes: [node('Dropout', ['x', 'ratio', 'training'], 'y')],
})
