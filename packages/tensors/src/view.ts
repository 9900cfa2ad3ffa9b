import { DTYPE_BYTES, type Dtype } from './dtype.ts'

interface DtypeArrays {
  F64: Float64Array
  F32: Float32Array
  /** Raw bits; `floats.ts` reads and writes the numbers. */
  F16: Uint16Array
  BF16: Uint16Array
  I64: BigInt64Array
  I32: Int32Array
  I16: Int16Array
  I8: Int8Array
  U8: Uint8Array
  BOOL: Uint8Array
}

/** The typed array that holds a dtype. */
export type ArrayOf<D extends Dtype> = DtypeArrays[D]

const constructors: { [D in Dtype]: new (buffer: ArrayBufferLike, offset: number, length: number) => ArrayOf<D> } = {
  F64: Float64Array,
  F32: Float32Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I64: BigInt64Array,
  I32: Int32Array,
  I16: Int16Array,
  I8: Int8Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
}

// Typed arrays have the byte order of the machine, files are little-endian.
if (new Uint8Array(Uint16Array.of(1).buffer)[0] !== 1) {
  throw new Error('Tributary needs a little-endian machine: tensors are read in place from little-endian files')
}

/** Whether `typedView` can look at the bytes in place. */
function isAligned(bytes: Uint8Array, dtype: Dtype): boolean {
  return bytes.byteOffset % DTYPE_BYTES[dtype] === 0
}

/**
 * Bytes as elements. In place when they are aligned, otherwise a copy (safetensors aligns the data section, not each tensor).
 * @throws RangeError when the bytes are not a whole number of elements
 */
export function typedView<D extends Dtype>(bytes: Uint8Array, dtype: D): ArrayOf<D> {
  const size = DTYPE_BYTES[dtype]
  if (bytes.byteLength % size !== 0) {
    throw new RangeError(`${bytes.byteLength} bytes are not a whole number of ${dtype} elements of ${size} bytes`)
  }
  // Not `slice`: that of a Buffer copies nothing.
  const aligned = isAligned(bytes, dtype) ? bytes : new Uint8Array(bytes)
  return new constructors[dtype](aligned.buffer, aligned.byteOffset, aligned.byteLength / size)
}

/** The bytes behind a typed array, in place. */
export function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
}
