import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DerivedMetrics } from '@tributary/contracts/evaluation-metrics'
import { readResult, resultOf } from './evaluation-result.ts'

test('accuracy and mean loss come from the sums', () => {
  // 3 of 4 right; 2^20 units of 2^-20 over 4 examples.
  const sums = { examples: '4', correct: '3', loss_q20: '1048576' }
  const result = { accuracy: 0.75, loss: 0.25, examples: 4, results: { accuracy: 0.75, loss: 0.25 } }
  assert.deepEqual(resultOf(sums), result)
  assert.deepEqual(readResult({ sums }), result)
  assert.deepEqual(readResult({ result }), result)
})

test('without examples or without an evaluation there is neither accuracy nor loss', () => {
  const nothing = { accuracy: null, loss: null, examples: 0 }
  assert.deepEqual(resultOf({ examples: '0', correct: '0', loss_q20: '0' }), {
    ...nothing,
    results: { accuracy: null, loss: null },
  })
  assert.deepEqual(readResult(null), { ...nothing, results: {} })
})

test('whatever nodes sent, a result is one that the views take', () => {
  const counts = ['correct', 'positions', 'actual_0', 'predicted_1', 'agreed_1', 'score_positive_0', 'score_negative_9']
  const wide = ['position_loss', 'absolute_error', 'squared_error', 'label', 'label_square'].flatMap(name => [
    `${name}_q20`,
    `${name}_q20_carry`,
  ])
  for (const sign of ['', '-']) {
    const names = [...counts, ...wide, 'loss_q20', 'error_examples', 'label_examples']
    const sums = Object.fromEntries(names.map(name => [name, `${sign}${'9'.repeat(34)}`]))
    const { examples, results } = resultOf({ ...sums, examples: '9'.repeat(34) })
    assert.equal(examples, Number.MAX_SAFE_INTEGER)
    assert.ok(DerivedMetrics.safeParse(results).success, JSON.stringify(results))
  }
})

test('real-valued labels have a loss and no accuracy', () => {
  const { results, ...result } = resultOf({ examples: '2', loss_q20: '1048576', absolute_error_q20: '1048576' })
  assert.deepEqual(result, { accuracy: null, loss: 0.5, examples: 2 })
  assert.deepEqual(results, { loss: 0.5, mae: 0.5 })
})
