import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { addSums } from './add-sums.ts'

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })

test('sums are exact, and refused where they would leave 64 bits', () => {
  fc.assert(
    fc.property(int64, int64, fc.nat({ max: 3 }), (a, b, place) => {
      const into = new BigInt64Array(4)
      const from = new BigInt64Array(4)
      into[place] = a
      from[place] = b
      if (BigInt.asIntN(64, a + b) === a + b) {
        addSums(into, from)
        assert.equal(into[place], a + b)
      } else {
        assert.throws(() => addSums(into, from), { code: 'SUM_WOULD_OVERFLOW' })
      }
    }),
    { numRuns: 2_000 },
  )
})

test('sums of different length are refused', () => {
  assert.throws(() => addSums(new BigInt64Array(2), new BigInt64Array(1)), RangeError)
})
