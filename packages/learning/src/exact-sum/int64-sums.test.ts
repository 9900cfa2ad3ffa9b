import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Int64Sums } from './int64-sums.ts'

const within = fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n })

test('sums are those of BigInt, rounded once', () => {
  const sums = new Int64Sums()
  fc.assert(
    fc.property(fc.array(within, { minLength: 1, maxLength: 6 }), fc.nat({ max: 3 }), (numbers, place) => {
      const total = numbers.reduce((sum, number) => sum + number, 0n)
      sums.begin(4)
      for (const number of numbers) {
        const shard = new BigInt64Array(4)
        shard[place] = number
        sums.add(0, shard)
      }
      // The check is on the rounded sum, so a few units beyond 2^62 pass: no attempt comes near.
      if (Math.abs(Number(total)) <= 2 ** 62) assert.equal(sums.means(0, 4, 1n, 0)[place], Number(total))
      else assert.throws(() => sums.means(0, 4, 1n, 0), { code: 'SUM_WOULD_OVERFLOW' })
    }),
    { numRuns: 3000 },
  )
})

test('halves carry into one another, in both directions', () => {
  const sums = new Int64Sums()
  sums.begin(3)
  sums.add(0, BigInt64Array.of(0xffff_ffffn, -1n, -0x1_0000_0000n))
  sums.add(1, BigInt64Array.of(1n, -1n))
  assert.deepEqual([...sums.means(0, 3, 1n, 0)], [0xffff_ffff, 0, -0x1_0000_0001])
})

test('what an earlier part left is gone, and numbers beside the sums are refused', () => {
  const sums = new Int64Sums()
  sums.begin(2)
  sums.add(0, BigInt64Array.of(5n, 6n))
  sums.begin(2)
  assert.deepEqual([...sums.means(0, 2, 3n, 1)], [0, 0])
  assert.throws(() => sums.add(1, BigInt64Array.of(1n, 1n)), RangeError)
})
