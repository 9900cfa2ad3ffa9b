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
    [compiled.hits, compiled.losses],
  )
  assert.deepEqual(results.get(compiled.hits)?.data, Int32Array.of(1, 0, 1))
  const expected = [Math.log(Math.E + 2) - 1, Math.log(Math.E ** 2 + 2), Math.log(3)]
  const losses = results.get(compiled.losses)?.data as Float32Array
  for (const [index, loss] of expected.entries()) assert.ok(Math.abs((losses[index] ?? 0) - loss) < 1e-6)
})
