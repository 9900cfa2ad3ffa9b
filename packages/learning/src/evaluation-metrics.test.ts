import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addEvaluations, evaluationResult, evaluationSums, NO_EVALUATION } from './evaluation-metrics.ts'

test('accuracy and mean loss come from the sums', () => {
  const sums = addEvaluations(evaluationSums(3, 2, 1.5), evaluationSums(5, 4, 0.5))
  assert.deepEqual(sums, { examples: 8n, correct: 6n, lossQ20: 2n << 20n })
  assert.deepEqual(evaluationResult(sums), { examples: 8n, accuracy: 0.75, loss: 0.25 })
})

test('without examples there is no accuracy and no loss', () => {
  const nothing = { examples: 0n, accuracy: null, loss: null }
  assert.deepEqual(evaluationResult(NO_EVALUATION), nothing)
  assert.deepEqual(evaluationResult(evaluationSums(0, 0, 0)), nothing)
})

test('an evaluation whose loss is not a number counts for nothing', () => {
  for (const loss of [NaN, Infinity, -Infinity, 1e308]) {
    assert.deepEqual(evaluationSums(10, 5, loss), NO_EVALUATION)
  }
})

test('impossible counts are refused', () => {
  for (const [examples, correct] of [
    [3, 4],
    [3, -1],
    [1.5, 1],
    [NaN, 0],
  ] as const) {
    assert.throws(() => evaluationSums(examples, correct, 0), RangeError)
  }
})
