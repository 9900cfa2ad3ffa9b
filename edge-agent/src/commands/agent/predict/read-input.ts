import { open } from 'node:fs/promises'
import { type ByteSource, fileSource } from '../../../data/byte-source.ts'
import { DataError } from '../../../data/data-error.ts'
import { readNpyData, readNpyHeader } from '../../../data/npy.ts'
import { csvRecords } from '../../../data/table/csv.ts'
import { CommandError } from '../agent-command.ts'

/** Rows as plain numbers, row-major [rows, …one example], or a whole request of the Open Inference Protocol. */
export type PredictInput =
  | { readonly kind: 'numbers'; readonly values: readonly number[] | Float64Array; readonly shape: readonly number[] }
  | { readonly kind: 'request'; readonly json: string }

const mostBytes = 256 * 1024 * 1024
const mostAxes = 8

/**
 * Reads what is to be predicted: `.json` (a list of rows, or a request with "inputs"), `.npy`, or `.csv` of numbers, whose first line may be names.
 * Rejects with CommandError.
 */
export const readInput = async (path: string): Promise<PredictInput> => {
  await using file = await open(path).catch((cause: NodeJS.ErrnoException) => {
    throw new CommandError(`${path} cannot be read: ${cause.code}. Check the path and who may read it.`, { cause })
  })
  const source = await fileSource(file, path)
  if (source.size > mostBytes) {
    throw new CommandError(`${path} has ${source.size} bytes; predict takes ${mostBytes} at once. Split it.`)
  }
  try {
    if (path.endsWith('.npy')) return await fromNpy(source)
    if (path.endsWith('.csv')) return await fromCsv(source)
    return fromJson((await source.read(0, source.size)).toString('utf8'), path)
  } catch (error) {
    if (error instanceof DataError) throw new CommandError(error.message, { cause: error })
    throw error
  }
}

const fromNpy = async (source: ByteSource): Promise<PredictInput> => {
  const header = await readNpyHeader(source)
  const values = new Float64Array(header.elements)
  await readNpyData(source, header, (value, index) => {
    values[index] = value
  })
  return { kind: 'numbers', values, shape: header.shape }
}

const fromCsv = async (source: ByteSource): Promise<PredictInput> => {
  const values: number[] = []
  let width: number | undefined
  let rows = 0
  let first = true
  for await (const { fields, line } of csvRecords(source, ',')) {
    const numbers = fields.map(field => (field.trim() === '' ? Number.NaN : Number(field)))
    const names = first && numbers.every(Number.isNaN)
    first = false
    if (names) continue
    const wrong = numbers.findIndex(Number.isNaN)
    if (wrong >= 0) {
      const field = JSON.stringify((fields[wrong] ?? '').slice(0, 40))
      throw new CommandError(`${source.name}, line ${line}, column ${wrong + 1}: ${field} is no number.`)
    }
    width ??= numbers.length
    if (numbers.length !== width) {
      throw new CommandError(`${source.name}, line ${line}: ${numbers.length} columns, the first row has ${width}.`)
    }
    for (const number of numbers) values.push(number)
    rows += 1
  }
  if (width === undefined) throw new CommandError(`${source.name} holds no rows of numbers.`)
  return { kind: 'numbers', values, shape: [rows, width] }
}

/** Exported for its tests. */
export const fromJson = (text: string, name: string): PredictInput => {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new CommandError(`${name} is not JSON: ${(cause as Error).message}`, { cause })
  }
  if (!Array.isArray(json)) return { kind: 'request', json: text }
  const shape: number[] = []
  for (let level: unknown = json; Array.isArray(level); level = level[0]) {
    shape.push(level.length)
    if (shape.length > mostAxes) throw new CommandError(`${name} is nested deeper than ${mostAxes} lists.`)
  }
  // One example alone is a row of its own.
  const rows = shape.length === 1 ? [json] : json
  if (shape.length === 1) shape.unshift(1)
  const values: number[] = []
  collect(rows, shape, values, name)
  return { kind: 'numbers', values, shape }
}

const collect = (list: readonly unknown[], [length = 0, ...inner]: readonly number[], into: number[], name: string) => {
  if (list.length !== length) {
    throw new CommandError(
      `${name}: the lists are not equally long; one has ${list.length} elements, others ${length}.`,
    )
  }
  for (const value of list) {
    if (inner.length > 0 && Array.isArray(value)) collect(value, inner, into, name)
    else if (inner.length === 0 && typeof value === 'number') into.push(value)
    else throw new CommandError(`${name} holds ${JSON.stringify(value)?.slice(0, 40)} where a number is wanted.`)
  }
}
