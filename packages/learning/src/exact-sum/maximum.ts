import type { Dtype } from '@tributary/tensors/dtype'
import { type ArrayOf, bytesOf, typedView } from '@tributary/tensors/view'

/** What every value is at least: the content of a maximum before the first one. */
const LOWEST: { [D in Dtype]: ArrayOf<D>[number] } = {
  F64: -Infinity,
  F32: -Infinity,
  F16: 0xfc00,
  BF16: 0xff80,
  I64: -(2n ** 63n),
  I32: -(2 ** 31),
  I16: -(2 ** 15),
  I8: -(2 ** 7),
  U8: 0,
  BOOL: 0,
}

/** Bytes of `count` elements that any maximum replaces. */
export function lowestValues(dtype: Dtype, byteLength: number): Uint8Array {
  const values = typedView(new Uint8Array(byteLength), dtype)
  if (values instanceof BigInt64Array) values.fill(LOWEST.I64)
  else values.fill(LOWEST[dtype] as number)
  return bytesOf(values)
}

/**
 * Keeps the larger of two values at each place of `into`, which must be aligned; +0 is larger than −0, so order does not
 * matter. NaN must have been refused before.
 */
export function keepMaximum(into: Uint8Array, from: Uint8Array, dtype: Dtype): void {
  if (into.byteLength !== from.byteLength) {
    throw new RangeError(`cannot compare ${from.byteLength} bytes with ${into.byteLength}`)
  }
  const kept = typedView(into, dtype)
  const values = typedView(from, dtype)
  if (kept instanceof BigInt64Array) {
    for (const [i, value] of (values as BigInt64Array).entries()) if (value > (kept[i] as bigint)) kept[i] = value
  } else if (dtype === 'F16' || dtype === 'BF16') {
    for (const [i, bits] of (values as Uint16Array).entries()) {
      if (orderOfBits(bits) > orderOfBits(kept[i] as number)) kept[i] = bits
    }
  } else {
    for (const [i, value] of (values as Float32Array).entries()) kept[i] = Math.max(value, kept[i] as number)
  }
}

// Sign and magnitude to a number that sorts like the float.
function orderOfBits(bits: number): number {
  return bits & 0x8000 ? 0x7fff - bits : bits
}
