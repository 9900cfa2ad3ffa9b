import type { FloatDtype } from '@tributary/tensors/dtype'
import { readFloats, writeFloats } from '@tributary/tensors/floats'

/**
 * What a device learned: local − base in float64, rounded once to the tensor's dtype.
 * @param local bytes of the tensor after training
 * @param base bytes of the same tensor as it was pulled
 */
export function deltaOf(local: Uint8Array, base: Uint8Array, dtype: FloatDtype): Uint8Array {
  const after = readFloats(local, dtype)
  const before = readFloats(base, dtype)
  if (after.length !== before.length) throw new RangeError(`local has ${after.length} elements, base ${before.length}`)
  const delta = new Float64Array(after.length)
  for (let i = 0; i < delta.length; i += 1) delta[i] = (after[i] as number) - (before[i] as number)
  return writeFloats(delta, dtype)
}
