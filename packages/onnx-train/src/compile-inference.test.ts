import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileInference } from './compile-inference.ts'
import type { Tensor } from './tensor.ts'
import { modelOf, node } from './testing/model-of.ts'
import { ortRunner } from './testing/ort-runner.ts'

test('a graph predicts with the weights that it is fed, and nothing of its end is taken off', async () => {
  const w = { dtype: 'float32' as const, shape: [2, 2], data: Float32Array.of(1, 0, 0, 1) }
  const model = modelOf('float32', [2], { w }, [
    node('MatMul', ['x', 'w'], 'scores'),
    node('Softmax', ['scores'], 'y', { axis: { int: 1 } }),
  ])
  const compiled = compileInference(model)
  assert.deepEqual([compiled.features, compiled.exampleShape, compiled.output], ['x', [2], 'y'])
  const doubled = { ...w, data: Float32Array.of(2, 0, 0, 2) }
  const results = await ortRunner(
    compiled.model,
    new Map<string, Tensor>([
      ['w', doubled],
      ['x', { dtype: 'float32', shape: [2, 2], data: Float32Array.of(1, 0, 0.5, 0.5) }],
    ]),
    ['y'],
  )
  const shares = results.get('y')?.data as Float32Array
  const first = Math.exp(2) / (Math.exp(2) + 1)
  for (const [index, expected] of [first, 1 - first, 0.5, 0.5].entries()) {
    assert.ok(Math.abs((shares[index] ?? 0) - expected) < 1e-6, `${shares}`)
  }
})

test('dropout is off while a graph predicts', async () => {
  const w = { dtype: 'float32' as const, shape: [1, 1], data: Float32Array.of(3) }
  const ratio = { dtype: 'float32' as const, shape: [], data: Float32Array.of(0.9) }
  const training = { dtype: 'bool' as const, shape: [], data: Uint8Array.of(1) }
  const model = modelOf('float32', [1], { w, ratio, training }, [
    node('MatMul', ['x', 'w'], 'z'),
    node('Dropout', ['z', 'ratio', 'training'], 'y'),
  ])
  const { model: compiled } = compileInference(model)
  const x: Tensor = { dtype: 'float32', shape: [64, 1], data: new Float32Array(64).fill(1) }
  const results = await ortRunner(
    compiled,
    new Map<string, Tensor>([
      ['w', w],
      ['x', x],
    ]),
    ['y'],
  )
  assert.deepEqual(results.get('y')?.data, new Float32Array(64).fill(3))
})
