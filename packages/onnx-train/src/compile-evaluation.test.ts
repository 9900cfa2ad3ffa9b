import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compileEvaluation } from './compile-evaluation.ts'
import type { Tensor } from './tensor.ts'
import { modelOf, node } from './testing/model-of.ts'
import { ortRunner } from './testing/ort-runner.ts'

test('hits and losses of each example are those computed by hand', async () => {
  const w = { dtype: 'float32' as const, shape: [2, 3], data: Float32Array.of(1, 0, 0, 0, 2, 0) }
  const model = modelOf('float32', [2], { w }, [
    node('MatMul', ['x', 'w'], 'scores'),
    node('Softmax', ['scores'], 'y', { axis: { int: 1 } }),
  ])
  const compiled = await compileEvaluation(model, ortRunner)
  const results = await ortRunner(
    compiled.model,
    new Map<string, Tensor>([
      ['w', w],
      // Scores: (1, 0, 0), (0, 2, 0), (0, 0, 0): in the last all tie and the first class counts as predicted.
      [compiled.features, { dtype: 'float32', shape: [3, 2], data: Float32Array.of(1, 0, 0, 1, 0, 0) }],
      [compiled.labels, { dtype: 'int32', shape: [3], data: Int32Array.of(0, 2, 0) }],
    ]),
    [compiled.hits, compiled.losses, compiled.scores],
  )
  assert.deepEqual(results.get(compiled.scores)?.data, Float32Array.of(1, 0, 0, 0, 2, 0, 0, 0, 0))
  assert.deepEqual(results.get(compiled.hits)?.data, Int32Array.of(1, 0, 1))
  const expected = [Math.log(Math.E + 2) - 1, Math.log(Math.E ** 2 + 2), Math.log(3)]
  const losses = results.get(compiled.losses)?.data as Float32Array
  for (const [index, loss] of expected.entries()) assert.ok(Math.abs((losses[index] ?? 0) - loss) < 1e-6)
})

test('scores have the classes last, wherever the model has them', async () => {
  // [batch, classes, positions] of 2 and 3.
  const w = { dtype: 'float32' as const, shape: [1, 6], data: Float32Array.of(1, 2, 3, 4, 5, 6) }
  const shape = { dtype: 'int64' as const, shape: [3], data: BigInt64Array.of(-1n, 2n, 3n) }
  const nodes = [node('MatMul', ['x', 'w'], 'm'), node('Reshape', ['m', 'shape'], 'y')]
  const compiled = await compileEvaluation(modelOf('float32', [1], { w, shape }, nodes), ortRunner, {
    loss: { kind: 'softmax-cross-entropy', classAxis: 1 },
  })
  const feeds = new Map<string, Tensor>([
    ['w', w],
    [compiled.features, { dtype: 'float32', shape: [1, 1], data: Float32Array.of(1) }],
    [compiled.labels, { dtype: 'int32', shape: [1, 3], data: Int32Array.of(0, 1, 0) }],
  ])
  const results = await ortRunner(compiled.model, feeds, [compiled.scores])
  assert.deepEqual(results.get(compiled.scores)?.data, Float32Array.of(1, 4, 2, 5, 3, 6))
  assert.deepEqual(compiled.outputs.find(({ role }) => role === 'scores')?.shape, ['batch', 3, 2])
})
