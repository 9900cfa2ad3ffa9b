import * as z from 'zod'
import { DataError } from '../data-error.ts'
import type { RowLayout } from './row-layout.ts'

/** Begins every row file. */
export const magic = 'TRIBROW1'
/** Magic, length of the header, header. */
export const prefixBytes = 12
const maxHeaderBytes = 2 ** 22
const pageBytes = 4096

const count = z.int().nonnegative()
const numbers = z.array(z.number().finite()).min(1)

const Affine = z.strictObject({
  scale: z.number().positive(),
  shift: numbers,
  divisor: numbers,
  run: z.int().positive(),
})

export const RowHeader = z.strictObject({
  examples: count,
  stored: z.enum(['u8', 'f32']),
  features: z.int().positive(),
  labels: z.int().positive(),
  labelDtype: z.enum(['i32', 'f32']),
  /** Whether every label is an integer that int32 holds. */
  integerLabels: z.boolean(),
  affine: Affine,
  /** Names of the features, where the format has any; one may stand for several. */
  columns: z.array(z.string()).nullable(),
  /** How many examples each class has; null where there are no classes, or very many. */
  classCounts: z.array(count).nullable(),
  /** Examples that were left out as the declaration says. */
  skipped: count,
})
export type RowHeader = z.infer<typeof RowHeader>

/** Where rows begin: a multiple of 4 096 that leaves room for the numbers that are only known at the end. */
export const dataOffset = (layout: RowLayout, columns: readonly string[] | undefined, classes: number): number => {
  const text = JSON.stringify([layout.affine, columns])
  const most = prefixBytes + Buffer.byteLength(text) + 512 + 17 * classes
  return Math.ceil(most / pageBytes) * pageBytes
}

/** The header, filled up with spaces. Throws RangeError when it does not fit. */
export const encodeHeader = (header: RowHeader, offset: number): Buffer => {
  const text = Buffer.from(JSON.stringify(header))
  if (prefixBytes + text.length > offset) throw new RangeError(`a header of ${text.length} bytes before ${offset}`)
  const bytes = Buffer.alloc(offset, ' ')
  bytes.write(magic, 'latin1')
  bytes.writeUInt32LE(offset - prefixBytes, 8)
  text.copy(bytes, prefixBytes)
  return bytes
}

/** Length of the header that begins with these bytes. Throws ROWS_DAMAGED. */
export const headerBytesOf = (prefix: Buffer): number => {
  const bytes = prefix.length < prefixBytes ? 0 : prefix.readUInt32LE(8)
  if (prefix.toString('latin1', 0, 8) === magic && bytes <= maxHeaderBytes) return bytes
  throw damaged()
}

/** Throws ROWS_DAMAGED. */
export const decodeHeader = (text: string): RowHeader => {
  try {
    return RowHeader.parse(JSON.parse(text))
  } catch (cause) {
    throw damaged(cause)
  }
}

export const damaged = (cause?: unknown): DataError =>
  new DataError('ROWS_DAMAGED', 'A file of converted examples is damaged. It is made again when the agent starts.', {
    cause,
  })
