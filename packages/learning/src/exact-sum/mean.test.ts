import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FloatDtype } from '@tributary/tensors/dtype'
import { bytesOf, typedView } from '@tributary/tensors/view'
import fc from 'fast-check'
import { Int64Sums } from './int64-sums.ts'
import { addStep as addStepInPlace } from './mean.ts'

const addStep = (base: Uint8Array, ...rest: [Float64Array, FloatDtype]): Uint8Array => {
  const bytes = base.slice()
  addStepInPlace(bytes, ...rest)
  return bytes
}

const meanDelta = (sum: BigInt64Array, totalWeight: bigint, exponent: number): Float64Array => {
  const sums = new Int64Sums()
  sums.begin(sum.length)
  sums.add(0, sum)
  return sums.means(0, sum.length, totalWeight, exponent)
}

test('the mean is the sum over the weights in units of 2^-e', () => {
  // (3 · 2^20) / 6 / 2^20 and so on
  assert.deepEqual([...meanDelta(BigInt64Array.of(3n << 20n, -(9n << 20n), 0n), 6n, 20)], [0.5, -1.5, 0])
})

test('sums beyond 2^53 round to the nearest float64, ties to even', () => {
  const sum = BigInt64Array.of(2n ** 62n, 2n ** 53n + 1n, 2n ** 53n + 3n, -(2n ** 53n) - 1n, 2n ** 54n + 2n + 1n)
  assert.deepEqual([...meanDelta(sum, 1n, 0)], [2 ** 62, 2 ** 53, 2 ** 53 + 4, -(2 ** 53), 2 ** 54 + 4])
})

test('sums within their bound become the float64 that BigInt conversion gives', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 62n), max: 2n ** 62n }), sum => {
      assert.equal(meanDelta(BigInt64Array.of(sum), 1n, 0)[0], Number(sum))
    }),
    { numRuns: 5_000 },
  )
})

test('a step is added in float64 and rounded once to the dtype', () => {
  // In float32, 2^24 + 0.5 + 0.5 loses both halves when each is rounded.
  const next = addStep(bytesOf(Float32Array.of(2 ** 24, 1)), Float64Array.of(1.0000001, 0.25), 'F32')
  assert.deepEqual([...typedView(next, 'F32')], [2 ** 24 + 2, 1.25])
  const half = addStep(bytesOf(Uint16Array.of(0x3c00)), Float64Array.of(0.5), 'F16')
  assert.deepEqual([...typedView(half, 'F16')], [0x3e00])
})

test('a value that its dtype cannot hold is refused, not made infinite', () => {
  const largest = bytesOf(Uint16Array.of(0x7bff))
  assert.throws(() => addStep(largest, Float64Array.of(1000), 'F16'), { code: 'RESULT_NOT_FINITE' })
  assert.throws(() => addStep(bytesOf(Float32Array.of(NaN)), Float64Array.of(0), 'F32'), { code: 'RESULT_NOT_FINITE' })
})
