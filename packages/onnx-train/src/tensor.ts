/** Element types that graphs of this package carry as constants or exchange with a runtime. */
export type DType = 'float32' | 'float64' | 'int32' | 'int64' | 'bool' | 'uint8' | 'int8'

export type TensorData = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array | Int8Array

/** A dense tensor in row-major order; `bool` holds 0 or 1 in a Uint8Array. A scalar has shape []. */
export type Tensor = { readonly dtype: DType; readonly shape: readonly number[]; readonly data: TensorData }

const arrayTypes = {
  float32: Float32Array,
  float64: Float64Array,
  int32: Int32Array,
  int64: BigInt64Array,
  bool: Uint8Array,
  uint8: Uint8Array,
  int8: Int8Array,
} as const

export const bytesPerElement = (dtype: DType): number => arrayTypes[dtype].BYTES_PER_ELEMENT

export const elementCount = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1)

/** A tensor of zeros. */
export const zeros = (dtype: DType, shape: readonly number[]): Tensor => ({
  dtype,
  shape,
  data: new arrayTypes[dtype](elementCount(shape)),
})

export const scalar = (dtype: 'float32' | 'float64', value: number): Tensor => ({
  dtype,
  shape: [],
  data: arrayTypes[dtype].of(value),
})

export const int64Vector = (values: readonly number[]): Tensor => ({
  dtype: 'int64',
  shape: [values.length],
  data: BigInt64Array.from(values, BigInt),
})

/** The little-endian bytes of a tensor (every platform that the runtime supports is little endian). */
export const tensorBytes = (tensor: Tensor): Uint8Array =>
  new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength)

/** Reads little-endian bytes as a tensor, copying only where the bytes are not aligned. */
export const tensorFromBytes = (dtype: DType, shape: readonly number[], bytes: Uint8Array): Tensor => {
  // Not slice(): that of a Buffer copies nothing.
  const aligned = bytes.byteOffset % bytesPerElement(dtype) === 0 ? bytes : new Uint8Array(bytes)
  const count = elementCount(shape)
  return { dtype, shape, data: new arrayTypes[dtype](aligned.buffer as ArrayBuffer, aligned.byteOffset, count) }
}
