import type { FloatDtype } from '@tributary/tensors/dtype'
import { readFloats, writeFloats } from '@tributary/tensors/floats'
import { SumError } from './sum-error.ts'

/** The weighted mean of the deltas: float64(ΣS) / float64(Σw) · 2^−e, element by element. */
export function meanDelta(sum: BigInt64Array, totalWeight: bigint, exponent: number): Float64Array {
  const divisor = Number(totalWeight)
  const unit = 2 ** -exponent
  // Low and high half as numbers: each is exact, so their sum is rounded once, and `Number(bigint)` takes 15 times as long.
  const words = new Int32Array(sum.buffer, sum.byteOffset, 2 * sum.length)
  const mean = new Float64Array(sum.length)
  for (let i = 0; i < sum.length; i += 1) {
    const low = (words[2 * i] as number) >>> 0
    const value = (words[2 * i + 1] as number) * 2 ** 32 + low
    mean[i] = (value / divisor) * unit
  }
  return mean
}

/**
 * The tensor's next value: base + step in float64, then one rounding to its dtype.
 * @param base bytes of the tensor, or of a range of it
 * @param step as many numbers
 * @throws SumError RESULT_NOT_FINITE
 */
export function addStep(base: Uint8Array, step: Float64Array, dtype: FloatDtype): Uint8Array {
  const before = readFloats(base, dtype)
  if (before.length !== step.length) throw new RangeError(`cannot add ${step.length} elements to ${before.length}`)
  const sum = new Float64Array(step.length)
  for (let i = 0; i < sum.length; i += 1) sum[i] = (before[i] as number) + (step[i] as number)
  const next = writeFloats(sum, dtype)
  if (!allFinite(readFloats(next, dtype))) {
    const message = `the next value is beyond ${dtype}: the base is not finite or the step too large`
    throw new SumError('RESULT_NOT_FINITE', message)
  }
  return next
}

function allFinite(values: Float32Array | Float64Array): boolean {
  for (let i = 0; i < values.length; i += 1) if (!Number.isFinite(values[i])) return false
  return true
}
