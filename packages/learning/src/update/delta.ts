import type { FloatDtype } from '@tributary/tensors/dtype'
import { readFloats, writeFloats } from '@tributary/tensors/floats'
import { bytesOf } from '@tributary/tensors/view'

/**
 * What a device learned: local − base in float64, rounded once to the tensor's dtype.
 * @param local bytes of the tensor after training
 * @param base bytes of the same tensor as it was pulled
 */
export function deltaOf(local: Uint8Array, base: Uint8Array, dtype: FloatDtype): Uint8Array {
  const after = readFloats(local, dtype)
  const before = readFloats(base, dtype)
  if (after.length !== before.length) throw new RangeError(`local has ${after.length} elements, base ${before.length}`)
  // Float32 rounds as it stores: models are large, and devices have no room for them at twice their size.
  const delta = dtype === 'F32' ? new Float32Array(after.length) : new Float64Array(after.length)
  for (let i = 0; i < delta.length; i += 1) delta[i] = (after[i] as number) - (before[i] as number)
  return delta instanceof Float32Array ? bytesOf(delta) : writeFloats(delta, dtype)
}
