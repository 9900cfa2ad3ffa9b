import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addMetricSums, meanLoss } from './metric-sums.ts'

test('sums stay exact beyond 2^53', () => {
  const big = { steps: '9007199254740993' }
  assert.deepEqual(addMetricSums([big, big, { examples: '1' }]), { steps: '18014398509481986', examples: '1' })
})

test('without examples there is no mean, never NaN', () => {
  assert.equal(meanLoss({}), null)
  assert.equal(meanLoss({ examples: '0', loss_q20: '5' }), null)
  assert.equal(meanLoss({ examples: '4', loss_q20: String(3 * 2 ** 20) }), 0.75)
})
