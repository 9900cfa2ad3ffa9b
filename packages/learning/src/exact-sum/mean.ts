import type { FloatDtype } from '@tributary/tensors/dtype'
import { readFloats, writeFloats } from '@tributary/tensors/floats'
import { bytesOf } from '@tributary/tensors/view'
import { SumError } from './sum-error.ts'

/**
 * The tensor's next value: base + step in float64, then one rounding to its dtype.
 * @param base bytes of the tensor, or of a range of it
 * @param step as many numbers
 * @throws SumError RESULT_NOT_FINITE
 */
export function addStep(base: Uint8Array, step: Float64Array, dtype: FloatDtype): Uint8Array {
  const before = readFloats(base, dtype)
  if (before.length !== step.length) throw new RangeError(`cannot add ${step.length} elements to ${before.length}`)
  const next =
    before instanceof Float32Array && dtype === 'F32' ? addToFloat32(before, step) : addTo(before, step, dtype)
  if (!allFinite(readFloats(next, dtype))) {
    const message = `the next value is beyond ${dtype}: the base is not finite or the step too large`
    throw new SumError('RESULT_NOT_FINITE', message)
  }
  return next
}

/** Storing into float32 is the one rounding. */
function addToFloat32(before: Float32Array, step: Float64Array): Uint8Array {
  const next = new Float32Array(step.length)
  for (let i = 0; i < next.length; i += 1) next[i] = (before[i] as number) + (step[i] as number)
  return bytesOf(next)
}

function addTo(before: Float32Array | Float64Array, step: Float64Array, dtype: FloatDtype): Uint8Array {
  const sum = new Float64Array(step.length)
  for (let i = 0; i < sum.length; i += 1) sum[i] = (before[i] as number) + (step[i] as number)
  return writeFloats(sum, dtype)
}

export function allFinite(values: Float32Array | Float64Array): boolean {
  // x − x is 0 for what is finite and NaN for the rest, and NaN stays.
  let rest = 0
  for (let i = 0; i < values.length; i += 1) rest += (values[i] as number) - (values[i] as number)
  return rest === 0
}
