import { arrayOf, bytesOf, type Datatype, elementBytes, isDatatype } from '../datatype.ts'
import { InferenceError, quote } from '../inference-error.ts'
import { countOf, type InferenceTensor } from '../tensor.ts'
import { elementOf } from '../tensor-from-numbers.ts'
import { isObject, readName } from './json-values.ts'

const mostAxes = 8
/** Most bytes of a tensor; a body is bounded before it is read, so this only keeps shapes of zeros from making room. */
const mostTensorBytes = 2 ** 30

/** The bytes after the JSON, handed out in the order of the inputs. */
export class BinaryData {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** Throws InferenceError MALFORMED where there are not as many. */
  take(count: number, name: string): Uint8Array {
    const end = this.#at + count
    if (end > this.#bytes.length) {
      throw new InferenceError('MALFORMED', `The binary data of ${quote(name)} ends before its ${count} bytes.`)
    }
    const taken = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return taken
  }

  /** Throws InferenceError MALFORMED where bytes are left. */
  expectEnd(): void {
    const left = this.#bytes.length - this.#at
    if (left > 0) throw new InferenceError('MALFORMED', `${left} bytes after the JSON belong to no input.`)
  }
}

/** Reads one input. Throws InferenceError that names it. */
export const readTensor = (value: unknown, binary: BinaryData): InferenceTensor => {
  if (!isObject(value)) throw new InferenceError('MALFORMED', 'Every one of "inputs" must be an object.')
  const name = readName(value.name)
  const { datatype, data, parameters } = value
  if (!isDatatype(datatype)) throw unsupported(name, datatype)
  const shape = readShape(value.shape, name)
  const count = countOf(shape)
  if (count === undefined || count * elementBytes(datatype) > mostTensorBytes) {
    throw new InferenceError(
      'SHAPE_MISMATCH',
      `Input ${quote(name)} has the shape [${shape.join()}], which is too large.`,
    )
  }
  const size = isObject(parameters) ? parameters.binary_data_size : undefined
  if (size === undefined) return { name, datatype, shape, bytes: bytesOf(fromJson(data, datatype, shape, count, name)) }
  if (data !== undefined) {
    throw new InferenceError('MALFORMED', `Input ${quote(name)} has "data" and "binary_data_size"; send one of them.`)
  }
  if (size !== count * elementBytes(datatype)) {
    const takes = `${datatype} [${shape.join()}] takes ${count * elementBytes(datatype)}`
    throw new InferenceError(
      'SHAPE_MISMATCH',
      `Input ${quote(name)} says ${sayNumber(size)} bytes of binary data; ${takes}.`,
    )
  }
  const bytes = binary.take(size as number, name)
  if (datatype === 'BOOL' && bytes.some(byte => byte > 1)) {
    throw new InferenceError('DATATYPE_MISMATCH', `Input ${quote(name)} is BOOL and has bytes other than 0 and 1.`)
  }
  return { name, datatype, shape, bytes }
}

const unsupported = (name: string, datatype: unknown): InferenceError => {
  const is = typeof datatype === 'string' ? quote(datatype) : 'no text'
  return new InferenceError(
    'DATATYPE_UNSUPPORTED',
    `The datatype of ${quote(name)} is ${is}. Served are FP16, FP32, FP64, INT8 to INT64, UINT8 and BOOL.`,
  )
}

const readShape = (value: unknown, name: string): number[] => {
  if (
    Array.isArray(value) &&
    value.length <= mostAxes &&
    value.every(size => Number.isSafeInteger(size) && size >= 0)
  ) {
    return value as number[]
  }
  throw new InferenceError(
    'MALFORMED',
    `The "shape" of ${quote(name)} must be a list of at most ${mostAxes} whole numbers.`,
  )
}

/** JSON data, flat or nested as the shape says. */
const fromJson = (data: unknown, datatype: Datatype, shape: readonly number[], count: number, name: string) => {
  if (!Array.isArray(data))
    throw new InferenceError('MALFORMED', `Input ${quote(name)} has no "data", which must be a list.`)
  const nested = shape.length > 1 && Array.isArray(data[0])
  // Before any room is made: a list says truly how long it is.
  if (!nested && data.length !== count) throw lengths(name, shape, count, data.length)
  if (nested) expectNested(data, shape, 0, name)
  const array = arrayOf(datatype, count)
  let at = 0
  const fill = (list: readonly unknown[], axis: number): void => {
    if (nested && axis < shape.length - 1) {
      for (const inner of list) fill(inner as readonly unknown[], axis + 1)
      return
    }
    for (const value of list) array[at++] = scalarOf(value, datatype, name) as never
  }
  fill(data, 0)
  return array
}

const expectNested = (list: unknown, shape: readonly number[], axis: number, name: string): void => {
  if (!Array.isArray(list) || list.length !== shape[axis]) {
    const found = Array.isArray(list) ? list.length : 'none'
    throw new InferenceError(
      'SHAPE_MISMATCH',
      `"data" of ${quote(name)} is not nested as its shape [${shape.join()}] says: ${found} instead of ${shape[axis]} in dimension ${axis}.`,
    )
  }
  if (axis < shape.length - 1) for (const inner of list) expectNested(inner, shape, axis + 1, name)
}

const scalarOf = (value: unknown, datatype: Datatype, name: string): number | bigint => {
  if (datatype === 'BOOL' && typeof value === 'boolean') return value ? 1 : 0
  if (typeof value !== 'number') {
    throw new InferenceError(
      'DATATYPE_MISMATCH',
      `"data" of ${quote(name)} holds ${sayKind(value)} where ${datatype} is wanted.`,
    )
  }
  const largest = largestFloat.get(datatype)
  if (largest === undefined || Math.abs(value) <= largest) return elementOf(datatype, value, name)
  throw new InferenceError(
    'DATATYPE_MISMATCH',
    `"data" of ${quote(name)} holds ${value}, which is too large for ${datatype}.`,
  )
}

/** JSON has no infinity; a number that would become one is none. */
const largestFloat = new Map<Datatype, number>([
  ['FP16', 65_504],
  ['FP32', 3.4028234663852886e38],
  ['FP64', Number.MAX_VALUE],
])

const lengths = (name: string, shape: readonly number[], count: number, found: number): InferenceError =>
  new InferenceError(
    'SHAPE_MISMATCH',
    `"data" of ${quote(name)} has ${found} elements; its shape [${shape.join()}] takes ${count}.`,
  )

const sayNumber = (value: unknown): string => (typeof value === 'number' ? String(value) : 'no number of')
const sayKind = (value: unknown): string =>
  value === null
    ? 'null'
    : Array.isArray(value)
      ? 'a list'
      : typeof value === 'string'
        ? 'a text'
        : `an ${typeof value}`.replace('an boolean', 'a boolean')
