import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { apportion } from './apportion.ts'

test('shares follow the largest remainders, worked by hand', () => {
  // 10 · 47/100 = 4.7, 1.6, 1.58, 1.2, 0.61, 0.31: the textbook example of Hamilton's method
  assert.deepEqual(apportion(10, [47_000, 16_000, 15_800, 12_000, 6_100, 3_100]), [5, 2, 1, 1, 1, 0])
  assert.deepEqual(apportion(2, [1, 1, 1]), [1, 1, 0])
  assert.deepEqual(apportion(5, [0, 5]), [0, 5])
  assert.deepEqual(apportion(3, [0, 0]), [0, 0])
  assert.deepEqual(apportion(0, [3]), [0])
  assert.deepEqual(apportion(3, []), [])
})

test('shares sum to the total, stay within one of their quota and never exceed what is there', () => {
  const weights = fc.array(fc.nat({ max: 1_000_000 }), { minLength: 1, maxLength: 20 })
  fc.assert(
    fc.property(weights, fc.nat({ max: 100_000 }), (weights, total) => {
      const sum = weights.reduce((all, weight) => all + weight, 0)
      if (sum === 0) return
      const shares = apportion(total, weights)
      assert.equal(
        shares.reduce((all, share) => all + share, 0),
        total,
      )
      for (const [i, share] of shares.entries()) {
        const weight = weights[i] as number
        assert.ok(Math.abs(share - (total * weight) / sum) < 1)
        if (total <= sum) assert.ok(share <= weight)
      }
    }),
  )
})

test('what is not a count is refused', () => {
  for (const wrong of [-1, 0.5, NaN, 2 ** 53]) assert.throws(() => apportion(wrong, [1]), RangeError)
})
