import assert from 'node:assert/strict'
import { test } from 'node:test'
import { resultOf } from './evaluation-result.ts'
import { addMetricSums, meanLoss } from './metric-sums.ts'

test('sums stay exact beyond 2^53', () => {
  const big = { steps: '9007199254740993' }
  assert.deepEqual(addMetricSums([big, big, { examples: '1' }]), { steps: '18014398509481986', examples: '1' })
})

test('without examples there is no mean, never NaN', () => {
  assert.equal(meanLoss({}), null)
  assert.equal(meanLoss({ examples: '0', loss_q20: '5' }), null)
  assert.equal(meanLoss({ examples: '4', loss_q20: String(3 * 2 ** 20) }), 0.75)
  assert.deepEqual(resultOf({}), { accuracy: null, loss: null, examples: 0 })
  assert.deepEqual(resultOf({ examples: '8', correct: '6', loss_q20: String(2 ** 20) }), {
    accuracy: 0.75,
    loss: 0.125,
    examples: 8,
  })
})
