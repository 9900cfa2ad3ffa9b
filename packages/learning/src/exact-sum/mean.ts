import type { FloatDtype } from '@tributary/tensors/dtype'
import { readFloats, writeFloats } from '@tributary/tensors/floats'
import { SumError } from './sum-error.ts'

/** The weighted mean of the deltas: float64(ΣS) / float64(Σw) · 2^−e, element by element. */
export function meanDelta(sum: BigInt64Array, totalWeight: bigint, exponent: number): Float64Array {
  const divisor = Number(totalWeight)
  const unit = 2 ** -exponent
  const mean = new Float64Array(sum.length)
  for (let i = 0; i < sum.length; i += 1) mean[i] = (Number(sum[i]) / divisor) * unit
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
  const next = writeFloats(
    step.map((delta, i) => (before[i] as number) + delta),
    dtype,
  )
  if (!readFloats(next, dtype).every(Number.isFinite)) {
    throw new SumError(
      'RESULT_NOT_FINITE',
      `the next value is beyond ${dtype}: the base is not finite or the step too large`,
    )
  }
  return next
}
