import type { DType, Tensor } from './tensor.ts'

/** A size of an intermediate: fixed, a multiple of the number of examples in the batch, or neither. */
export type Size = number | { readonly perExample: number } | 'unknown'

/** What running the forward graph told about one value. */
export type ValueType = {
  readonly dtype: DType
  readonly shape: readonly Size[]
  /** Its elements, where they are the same whatever data, parameters and batch size (shapes, axes, scalars). */
  readonly constant?: Tensor
}

export const sameSize = (a: Size | undefined, b: Size | undefined): boolean => {
  if (a === undefined || b === undefined || a === 'unknown' || b === 'unknown') return false
  if (typeof a === 'number' || typeof b === 'number') return a === b
  return a.perExample === b.perExample
}
