import type { FloatDtype } from '@tributary/tensors/dtype'
import { readFloats, writeFloats } from '@tributary/tensors/floats'
import { SumError } from './sum-error.ts'

/**
 * The tensor's next value in place of its last: base + step in float64, then one rounding to its dtype.
 * @param bytes of the tensor, or of a range of it
 * @param step as many numbers
 * @throws SumError RESULT_NOT_FINITE, and `bytes` are spoilt
 */
export function addStep(bytes: Uint8Array, step: Float64Array, dtype: FloatDtype): void {
  const before = readFloats(bytes, dtype)
  if (before.length !== step.length) throw new RangeError(`cannot add ${step.length} elements to ${before.length}`)
  let next: Float32Array | Float64Array = before
  if (before instanceof Float32Array && before.buffer === bytes.buffer) {
    // Storing into float32 is the one rounding.
    for (let i = 0; i < before.length; i += 1) before[i] = (before[i] as number) + (step[i] as number)
  } else {
    const written = addTo(before, step, dtype)
    bytes.set(written)
    next = readFloats(written, dtype)
  }
  if (!allFinite(next)) throw resultNotFinite(dtype)
}

export function resultNotFinite(dtype: FloatDtype): SumError {
  const message = `the next value is beyond ${dtype}: the base is not finite or the step too large`
  return new SumError('RESULT_NOT_FINITE', message)
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
