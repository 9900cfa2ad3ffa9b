import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { boundFor, sumExponent } from './exponent.ts'

test('exponents follow the formula, worked by hand', () => {
  // 51 − ⌈log2(2^16 · 2^10)⌉
  assert.equal(sumExponent({ bound: 2 ** 10, weightCap: 2 ** 16, maxUpdates: 1000 }), 25)
  // 2048 updates are the most that leave 51 bits to each.
  assert.equal(sumExponent({ bound: 2 ** 10, weightCap: 2 ** 16, maxUpdates: 2048 }), 25)
  assert.equal(sumExponent({ bound: 2 ** 10, weightCap: 2 ** 16, maxUpdates: 2049 }), 24)
  // ⌈log2 3⌉ = 2
  assert.equal(sumExponent({ bound: 1, weightCap: 3, maxUpdates: 1 }), 49)
  assert.equal(sumExponent({ bound: 2 ** -3, weightCap: 1, maxUpdates: 1 }), 54)
  assert.equal(sumExponent({ bound: 2 ** 10, weightCap: 2 ** 24, maxUpdates: 2 ** 31 }), 31 - 34)
})

test('no summand passes 2^51 and no sum 2^62, and one exponent more would break that', () => {
  const rule = fc.record({
    bound: fc.integer({ min: -64, max: 64 }).map(power => 2 ** power),
    weightCap: fc.integer({ min: 1, max: 2 ** 24 }),
    maxUpdates: fc.integer({ min: 1, max: 2 ** 31 }),
  })
  fc.assert(
    fc.property(rule, rule => {
      const largest = rule.weightCap * rule.bound * 2 ** sumExponent(rule)
      assert.ok(largest <= 2 ** 51)
      assert.ok(largest * rule.maxUpdates <= 2 ** 62)
      // With both numbers rounded up to powers of two, as the formula does, nothing is given away.
      const up = (x: number) => 2 ** (x - 1).toString(2).length * (x === 1 ? 0.5 : 1)
      const roundedUp = up(rule.weightCap) * rule.bound * 2 ** sumExponent(rule)
      assert.ok(roundedUp * 2 > 2 ** 51 || roundedUp * 2 * up(rule.maxUpdates) > 2 ** 62)
    }),
    { numRuns: 2_000 },
  )
})

test('rules without room for an exact sum are refused', () => {
  const rule = { bound: 1, weightCap: 1, maxUpdates: 1 }
  for (const wrong of [
    { weightCap: 2 ** 24 + 1 },
    { weightCap: 0 },
    { weightCap: 1.5 },
    { maxUpdates: 0 },
    { maxUpdates: 2 ** 31 + 1 },
    { maxUpdates: NaN },
    { bound: 3 },
    { bound: 0 },
    { bound: -1 },
    { bound: NaN },
    { bound: Infinity },
    { bound: 2 ** 65 },
    { bound: 1 + 2 ** -52 },
  ]) {
    assert.throws(() => sumExponent({ ...rule, ...wrong }), { name: 'SumError', code: 'SUM_WOULD_OVERFLOW' })
  }
})

test('the bound is the least power of two that covers a clipped value', () => {
  assert.equal(boundFor(null), 1024)
  assert.equal(boundFor(1), 2)
  assert.equal(boundFor(0.5), 1)
  assert.equal(boundFor(3.99), 4)
  assert.equal(boundFor(3.999), 8)
  assert.equal(boundFor(1e-30), 2 ** -64)
  for (const wrong of [0, -1, NaN, Infinity]) assert.throws(() => boundFor(wrong), { code: 'SUM_WOULD_OVERFLOW' })
})
