import * as z from 'zod'
import { columns, common, File, Name } from './common.ts'
import { ImagesDeclaration } from './images-declaration.ts'
import { TextDeclaration } from './text-declaration.ts'

export const IdxDeclaration = z.strictObject({
  ...common,
  format: z.literal('idx'),
  /** IDX file of unsigned bytes: examples, then the axes of one example. */
  images: File,
  /** IDX file of unsigned bytes with one axis: class of each example. */
  labels: File,
})
export type IdxDeclaration = z.infer<typeof IdxDeclaration>

export const NpyDeclaration = z.strictObject({
  ...common,
  format: z.literal('npy'),
  /** Numbers of any type: examples, then the axes of one example. */
  features: File,
  /** Integers are classes, floats are numbers: examples, then the axes of one label, if any. */
  labels: File,
})
export type NpyDeclaration = z.infer<typeof NpyDeclaration>

export const NpzDeclaration = z.strictObject({
  ...common,
  format: z.literal('npz'),
  file: File,
  /** Names of two arrays in it, as for npy. */
  features: Name,
  labels: Name,
})
export type NpzDeclaration = z.infer<typeof NpzDeclaration>

export const CsvDeclaration = z.strictObject({
  ...common,
  ...columns,
  format: z.literal('csv'),
  /** UTF-8, names of the columns in the first line. */
  file: File,
  separator: z.enum([',', ';', '\t']).default(','),
})
export type CsvDeclaration = z.infer<typeof CsvDeclaration>

export const JsonlDeclaration = z.strictObject({
  ...common,
  ...columns,
  format: z.literal('jsonl'),
  /** UTF-8, one object a line; a feature is a number, true or false, or a list of numbers of one length. */
  file: File,
})
export type JsonlDeclaration = z.infer<typeof JsonlDeclaration>

export const ParquetDeclaration = z.strictObject({
  ...common,
  ...columns,
  format: z.literal('parquet'),
  /** Columns of numbers, booleans or lists of numbers; packed by Snappy, gzip, Brotli or Zstandard, or not. */
  file: File,
})
export type ParquetDeclaration = z.infer<typeof ParquetDeclaration>

/** Formats of one example a row. */
export type TableDeclaration = CsvDeclaration | JsonlDeclaration | ParquetDeclaration

/** One data set as its owner declares it. */
export const DatasetDeclaration = z.discriminatedUnion('format', [
  IdxDeclaration,
  NpyDeclaration,
  NpzDeclaration,
  CsvDeclaration,
  JsonlDeclaration,
  ParquetDeclaration,
  ImagesDeclaration,
  TextDeclaration,
])
export type DatasetDeclaration = z.infer<typeof DatasetDeclaration>
