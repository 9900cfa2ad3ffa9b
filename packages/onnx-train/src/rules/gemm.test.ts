import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compiledGradients, finiteDifferences, relativeError } from '../testing/gradients.ts'
import { modelOf, node, randomTensor } from '../testing/model-of.ts'

const float64 = (shape: number[], seed: number) => randomTensor('float64', shape, seed)
const batch = { x: float64([5, 6], 1), labels: Int32Array.of(0, 3, 1, 2, 3) }

const agree = async (model: ReturnType<typeof modelOf>, given = batch): Promise<void> => {
  const [compiled, differences] = [await compiledGradients(model, given), await finiteDifferences(model, given)]
  assert.deepEqual([...compiled.keys()], [...differences.keys()])
  for (const [name, gradient] of differences) {
    const error = relativeError(compiled.get(name) ?? new Float64Array(), gradient)
    assert.ok(error < 1e-7, `${name}: ${error}`)
  }
}

test('a network of Gemm, Relu and softmax has the gradients of finite differences', async () => {
  const constants = {
    w1: float64([7, 6], 2),
    b1: float64([7], 3),
    w2: float64([7, 4], 4),
    b2: float64([1, 4], 5),
  }
  await agree(
    modelOf('float64', [6], constants, [
      node('Gemm', ['x', 'w1', 'b1'], 'h', { transB: { int: 1 } }),
      node('Relu', ['h'], 'r'),
      node('Gemm', ['r', 'w2', 'b2'], 'y', { alpha: { float: 0.5 }, beta: { float: 2 } }),
      node('Softmax', ['y'], 'p', { axis: { int: 1 } }),
    ]),
  )
})

test('every transposition of Gemm has the gradients of finite differences', async () => {
  for (const [transA, transB] of [
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
  ] as const) {
    // a = w x' needs the batch on the second axis: the first product transposes the data.
    const constants = {
      w1: float64(transB === 1 ? [5, 6] : [6, 5], 2),
      w2: float64(transA === 1 ? [5, 4] : [4, 5], 3),
      square: float64([4, 4], 4),
    }
    await agree(
      modelOf('float64', [6], constants, [
        node('Gemm', ['x', 'w1'], 'h', { transB: { int: transB } }),
        node('Gemm', ['w2', 'h'], 'columns', { transA: { int: transA }, transB: { int: 1 } }),
        node('Gemm', ['columns', 'square'], 'y', { transA: { int: 1 } }),
      ]),
    )
  }
})

test('MatMul with Add, a shared weight and a value read twice has the gradients of finite differences', async () => {
  const constants = { w: float64([6, 6], 2), b: float64([6], 3), v: float64([6, 4], 4) }
  await agree(
    modelOf('float64', [6], constants, [
      node('MatMul', ['x', 'w'], 'm1'),
      node('Add', ['b', 'm1'], 'a1'),
      node('Relu', ['a1'], 'r1'),
      node('MatMul', ['r1', 'w'], 'm2'),
      node('Add', ['m2', 'r1'], 'a2'),
      node('Flatten', ['a2'], 'f'),
      node('MatMul', ['f', 'v'], 'y'),
    ]),
  )
})

test('a parameter on which the loss does not depend keeps its value', async () => {
  const constants = { w: float64([6, 4], 2), unused: float64([3], 3), other: float64([3], 4) }
  const model = modelOf('float64', [6], constants, [
    node('Add', ['unused', 'other'], 'nobody_reads'),
    node('MatMul', ['x', 'w'], 'y'),
  ])
  assert.deepEqual((await compiledGradients(model, batch)).get('unused'), new Float64Array(3))
})
