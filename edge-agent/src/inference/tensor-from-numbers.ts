import { arrayOf, bytesOf, type Datatype, toHalf } from './datatype.ts'
import { InferenceError, quote } from './inference-error.ts'
import type { InferenceTensor, TensorPort } from './tensor.ts'
import { countOf } from './tensor.ts'

/**
 * Plain numbers as an input of a model: rows of whatever shape, given the shape that the model asks for where their elements are as many.
 * @param values row-major [rows, …one example]
 * @throws InferenceError SHAPE_MISMATCH, DATATYPE_MISMATCH for a fraction where whole numbers are wanted
 */
export const tensorFromNumbers = (
  { name, datatype, shape: declared }: TensorPort,
  values: ArrayLike<number>,
  given: readonly number[],
): InferenceTensor => {
  const [rows = 1, ...inner] = given
  const width = countOf(inner) ?? 0
  const shape = [rows, ...innerShape(declared, inner, width)]
  const fixed = declared[0] ?? -1
  if (shape.length !== declared.length || (fixed >= 0 && fixed !== rows) || values.length !== rows * width) {
    throw new InferenceError(
      'SHAPE_MISMATCH',
      `Input ${quote(name)} takes [${declared.join()}]; the data has the shape [${given.join()}].`,
    )
  }
  const array = arrayOf(datatype, values.length)
  for (let index = 0; index < values.length; index++) {
    array[index] = elementOf(datatype, values[index] as number, name) as never
  }
  return { name, datatype, shape, bytes: bytesOf(array) }
}

/** The model's own shape of one row where it is known and takes as many elements, else the data's. */
const innerShape = (declared: readonly number[], inner: readonly number[], width: number): readonly number[] => {
  const wanted = declared.slice(1)
  return wanted.every(size => size >= 0) && countOf(wanted) === width ? wanted : inner
}

/** One number as an element of an array of this datatype. Throws InferenceError DATATYPE_MISMATCH. */
export const elementOf = (datatype: Datatype, value: number, name: string): number | bigint => {
  switch (datatype) {
    case 'FP32':
    case 'FP64':
      return value
    case 'FP16':
      return toHalf(value)
    default: {
      const [least, most] = ranges[datatype]
      if (Number.isSafeInteger(value) && value >= least && value <= most)
        return datatype === 'INT64' ? BigInt(value) : value
      throw new InferenceError(
        'DATATYPE_MISMATCH',
        `Input ${quote(name)} is ${datatype} and cannot hold ${value}.${datatype === 'INT64' ? ' Send numbers beyond 2^53 as binary data.' : ''}`,
      )
    }
  }
}

const ranges = {
  BOOL: [0, 1],
  INT8: [-128, 127],
  INT16: [-32_768, 32_767],
  INT32: [-2_147_483_648, 2_147_483_647],
  INT64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  UINT8: [0, 255],
} as const
