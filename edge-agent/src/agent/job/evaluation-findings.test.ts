import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findingsOf } from './evaluation-findings.ts'

const found = { examples: 4, correct: 3, lossSum: 1.5, sums: { positions: '4' }, seconds: 1 }

test('what was found becomes integers', () => {
  const sums = { correct: '3', loss_q20: String(1.5 * 2 ** 20), positions: '4' }
  assert.deepEqual(findingsOf(found), { examples: 4n, sums, seconds: 1 })
  const ofNumbers = { ...found, correct: null, lossSum: 0, sums: { absolute_error_q20: '7' } }
  assert.deepEqual(findingsOf(ofNumbers).sums, { loss_q20: '0', absolute_error_q20: '7' })
})

test('a loss that is not finite, or that no metric holds, makes it count as none', () => {
  for (const lossSum of [Number.NaN, Infinity, -Infinity, 2 ** 43]) {
    assert.deepEqual(findingsOf({ ...found, lossSum }), {
      examples: 0n,
      sums: { correct: '0', loss_q20: '0' },
      seconds: 1,
    })
  }
  assert.equal(findingsOf({ ...found, lossSum: 2 ** 42 }).sums.loss_q20, String(2n ** 62n))
})

test('sums of the owner’s code change neither examples nor hits nor loss', () => {
  const { examples, sums } = findingsOf({ ...found, sums: { examples: '9', correct: '4', loss_q20: '1', own: '2' } })
  assert.deepEqual([examples, sums], [4n, { correct: '3', loss_q20: String(1.5 * 2 ** 20), own: '2' }])
})
