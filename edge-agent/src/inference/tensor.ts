import type { Datatype } from './datatype.ts'

/** A dense tensor in row-major order as it travels: its little-endian bytes. */
export type InferenceTensor = {
  readonly name: string
  readonly datatype: Datatype
  readonly shape: readonly number[]
  readonly bytes: Uint8Array
}

/** An input or output of a model; −1 stands for a size that is free. */
export type TensorPort = { readonly name: string; readonly datatype: Datatype; readonly shape: readonly number[] }

/** Elements of a shape; undefined where they are too many to count. An empty shape has one. */
export const countOf = (shape: readonly number[]): number | undefined => {
  // One dimension of 0 makes nothing of the largest others.
  if (shape.includes(0)) return 0
  let count = 1
  for (const size of shape) {
    count *= size
    if (!Number.isSafeInteger(count)) return undefined
  }
  return count
}
