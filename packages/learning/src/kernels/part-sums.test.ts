import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bytesOf, typedView } from '@tributary/tensors/view'
import fc from 'fast-check'
import { Int64Sums } from '../exact-sum/int64-sums.ts'
import { addStep } from '../exact-sum/mean.ts'
import { PartSums, SLICE_ELEMENTS } from './part-sums.ts'

const shard = fc.array(fc.bigInt({ min: -(2n ** 61n), max: 2n ** 61n }), { minLength: 1, maxLength: 40 })
const sums = new PartSums()

const add = (first: number, shards: readonly BigInt64Array[], length: number): void => {
  sums.begin(first + length)
  for (const [index, numbers] of shards.entries()) {
    if (index === 0) sums.set(first, bytesOf(numbers))
    else sums.add(first, bytesOf(numbers))
  }
}

test('means of any sums within their bounds are those of the twin, bit for bit', () => {
  fc.assert(
    fc.property(
      shard,
      shard,
      fc.nat({ max: 5 }),
      fc.bigInt({ min: 1n, max: 2n ** 40n }),
      (one, other, first, weight) => {
        const length = Math.min(one.length, other.length)
        const shards = [one, other].map(numbers => BigInt64Array.from(numbers.slice(0, length)))
        const twin = new Int64Sums()
        twin.begin(length)
        for (const numbers of shards) twin.add(0, numbers)
        add(first, shards, length)
        assert.deepEqual([...sums.means(first, length, weight, 25)], [...twin.means(0, length, weight, 25)])
      },
    ),
    { numRuns: 2000 },
  )
})

test('int64 become the nearest float64, ties to even, in vectors and in tails', () => {
  const numbers = [
    2n ** 62n,
    2n ** 53n + 1n,
    2n ** 53n + 3n,
    -(2n ** 53n) - 1n,
    2n ** 54n + 2n + 1n,
    -1n,
    0n,
    -(2n ** 32n),
  ]
  const nearest = [2 ** 62, 2 ** 53, 2 ** 53 + 4, -(2 ** 53), 2 ** 54 + 4, -1, 0, -(2 ** 32)]
  for (let length = 1; length <= 19; length += 1) {
    const repeated = Array.from({ length }, (_, i) => i % numbers.length)
    add(0, [BigInt64Array.from(repeated, i => numbers[i] as bigint)], length)
    const expected = repeated.map(i => nearest[i])
    assert.deepEqual([...sums.means(0, length, 1n, 0)], expected)
  }
})

test('a sum beyond 2^62 is refused at every place, also where it leaves int64', () => {
  for (let place = 0; place < 19; place += 1) {
    const large = new BigInt64Array(19)
    for (const [value, other] of [
      [2n ** 62n, 2n ** 61n],
      [-(2n ** 62n), -(2n ** 61n)],
      [2n ** 63n - 1n, 2n ** 63n - 1n],
      [-(2n ** 63n), -(2n ** 63n)],
    ] as const) {
      const [one, two] = [large.with(place, value), large.with(place, other)]
      assert.throws(
        () => {
          add(0, [one, two], 19)
          sums.means(0, 19, 1n, 0)
        },
        { code: 'SUM_WOULD_OVERFLOW' },
      )
    }
  }
})

test('steps are added as the twin adds them, and what is not finite is found at every place', () => {
  const float = fc.double({ min: -1e30, max: 1e30, noNaN: true })
  fc.assert(
    fc.property(
      fc.array(fc.tuple(float, float), { minLength: 1, maxLength: 40 }),
      fc.nat({ max: 3 }),
      (pairs, shift) => {
        const base = Float32Array.from(pairs, ([value]) => value)
        const step = Float64Array.from(pairs, ([, value]) => value)
        sums.begin(step.length)
        sums.set(0, bytesOf(step))
        const into = new Uint8Array(base.byteLength + shift).subarray(shift)
        into.set(bytesOf(base))
        const finite = sums.addStepTo(into, 0)
        assert.ok(finite)
        addStep(bytesOf(base), step, 'F32')
        assert.deepEqual(into, bytesOf(base))
      },
    ),
  )
  for (const bad of [Infinity, -Infinity, NaN, 3.5e38, -3.5e38]) {
    for (let place = 0; place < 19; place += 1) {
      sums.begin(19)
      sums.set(0, bytesOf(new Float64Array(19).with(place, bad)))
      assert.ok(!sums.addStepTo(new Uint8Array(76), 0), `${bad} at ${place}`)
    }
  }
})

test('slices longer than the cache holds add up like short ones', () => {
  const length = 2 * SLICE_ELEMENTS + 5
  const numbers = BigInt64Array.from({ length }, (_, i) => BigInt(i) * 3n - 7n)
  add(0, [numbers, numbers, numbers], length)
  const means = sums.means(0, length, 9n, 0)
  assert.deepEqual(
    [...means],
    Array.from({ length }, (_, i) => (9 * i - 21) / 9),
  )
})

test('numbers beside the sums are refused', () => {
  sums.begin(2)
  sums.set(0, bytesOf(BigInt64Array.of(5n, 6n)))
  assert.throws(() => sums.add(1, bytesOf(BigInt64Array.of(1n, 1n))), RangeError)
  assert.throws(() => sums.set(0, new Uint8Array(7)), RangeError)
  assert.throws(() => sums.means(1, 2, 1n, 0), RangeError)
  assert.throws(() => sums.addStepTo(new Uint8Array(4 * SLICE_ELEMENTS + 4), 0), RangeError)
  assert.deepEqual([...typedView(bytesOf(sums.means(0, 2, 1n, 0)), 'F64')], [5, 6])
})
