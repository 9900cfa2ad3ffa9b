/** Element types of the Open Inference Protocol that are served. https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol */
const facts = {
  BOOL: { runtime: 'bool', bytes: 1 },
  INT8: { runtime: 'int8', bytes: 1 },
  INT16: { runtime: 'int16', bytes: 2 },
  INT32: { runtime: 'int32', bytes: 4 },
  INT64: { runtime: 'int64', bytes: 8 },
  UINT8: { runtime: 'uint8', bytes: 1 },
  FP16: { runtime: 'float16', bytes: 2 },
  FP32: { runtime: 'float32', bytes: 4 },
  FP64: { runtime: 'float64', bytes: 8 },
} as const

export type Datatype = keyof typeof facts
/** The runtime's name of an element type. */
export type RuntimeType = (typeof facts)[Datatype]['runtime']

const byRuntimeType = new Map<string, Datatype>(
  Object.entries(facts).map(([name, { runtime }]) => [runtime, name as Datatype]),
)

export const isDatatype = (name: unknown): name is Datatype => typeof name === 'string' && Object.hasOwn(facts, name)

/** The protocol's name of a type of the runtime, or undefined where it is not served (strings, unsigned 16 to 64 bits). */
export const datatypeOf = (runtimeType: string): Datatype | undefined => byRuntimeType.get(runtimeType)

export const runtimeTypeOf = (datatype: Datatype): RuntimeType => facts[datatype].runtime

export const elementBytes = (datatype: Datatype): number => facts[datatype].bytes

export const isFloat = (datatype: Datatype): boolean => datatype.startsWith('FP')

/** What a tensor holds; FP16 as the bits of each number. */
export type TensorArray =
  | Uint8Array
  | Int8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | BigInt64Array
  | Float32Array
  | Float64Array

const arrayTypes = {
  BOOL: Uint8Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
  UINT8: Uint8Array,
  FP16: Uint16Array,
  FP32: Float32Array,
  FP64: Float64Array,
} as const

/** Little-endian bytes as numbers: a view where they are aligned, a copy where not. */
export const viewOf = (datatype: Datatype, bytes: Uint8Array): TensorArray => {
  const aligned = bytes.byteOffset % elementBytes(datatype) === 0 ? bytes : new Uint8Array(bytes)
  return new arrayTypes[datatype](
    aligned.buffer as ArrayBuffer,
    aligned.byteOffset,
    aligned.byteLength / elementBytes(datatype),
  )
}

/** Room for so many elements, all zero. */
export const arrayOf = (datatype: Datatype, elements: number): TensorArray => new arrayTypes[datatype](elements)

export const bytesOf = (array: ArrayBufferView): Uint8Array =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength)

/** The number behind the bits of an FP16. */
export const fromHalf = (bits: number): number => {
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  const sign = bits & 0x8000 ? -1 : 1
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25)
}

/** The bits of the FP16 next to a number; ties go to the even one. */
export const toHalf = (value: number): number => {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0
  const size = Math.abs(value)
  if (Number.isNaN(value)) return 0x7e00
  if (size >= 65520) return sign | 0x7c00
  if (size < 2 ** -14) return sign | roundToEven(size * 2 ** 24)
  const exponent = Math.floor(Math.log2(size))
  // A fraction that rounds up to 2048 carries into the exponent, as it should.
  return sign | (roundToEven(size * 2 ** (10 - exponent)) + ((exponent + 14) << 10))
}

const roundToEven = (value: number): number => {
  const floor = Math.floor(value)
  const rest = value - floor
  if (rest === 0.5) return floor % 2 === 0 ? floor : floor + 1
  return rest > 0.5 ? floor + 1 : floor
}
