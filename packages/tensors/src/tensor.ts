import type { Dtype } from './dtype.ts'

/** What a tensor is called and how its bytes are read. */
export interface TensorInfo {
  readonly name: string
  readonly dtype: Dtype
  /** Sizes from the slowest axis to the fastest (row-major); empty for a scalar. */
  readonly shape: readonly number[]
}

/** A tensor with its content: little-endian, row-major, exactly as in a safetensors file. */
export interface Tensor extends TensorInfo {
  readonly bytes: Uint8Array
}

/** A tensor's place in a file. */
export interface PlacedTensor extends TensorInfo {
  /** First byte, counted from the start of the file. */
  readonly offset: number
  readonly byteLength: number
}
