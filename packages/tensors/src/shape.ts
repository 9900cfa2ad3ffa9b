import { DTYPE_BYTES, type Dtype } from './dtype.ts'

/** Most dimensions of a tensor. */
export const MAX_RANK = 16

/**
 * Number of elements of a tensor; 1 for a scalar (empty shape).
 * `null` when a size is not a non-negative safe integer or the product is not one: a shape from outside can claim anything.
 */
export function elementCount(shape: readonly number[]): number | null {
  let count = 1
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0) return null
    count *= size
    if (!Number.isSafeInteger(count)) return null
  }
  return count
}

/** Bytes of a tensor; `null` as in `elementCount`. */
export function tensorBytes(dtype: Dtype, shape: readonly number[]): number | null {
  const count = elementCount(shape)
  if (count === null) return null
  const bytes = count * DTYPE_BYTES[dtype]
  return Number.isSafeInteger(bytes) ? bytes : null
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis])
}
