import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { Slug } from '@tributary/contracts/ids'
import * as z from 'zod'
import { DataError } from './data-error.ts'

export const declarationsFile = 'datasets.json'
const maxDeclarationsBytes = 1024 * 1024

/** A file relative to the data folder. */
const File = z.string().min(1).max(1024)
/** The name of a column or of a class. */
const Name = z.string().min(1).max(256)

const common = {
  name: Slug,
  /** A test set: evaluated on, never trained on. */
  heldOut: z.boolean().default(false),
  /** Features are divided by it. */
  scale: z.number().positive().finite().default(1),
}

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
  format: z.literal('csv'),
  /** UTF-8, names of the columns in the first line. */
  file: File,
  /** The column of the label, or several that make up one. */
  label: z.union([Name, z.array(Name).min(1).max(4096)]),
  /** Columns that go into the model, in this order. @default all others, in the order of the file */
  features: z.array(Name).min(1).max(65_536).optional(),
  /** What the label column says for class 0, 1, 2, … @default it holds numbers */
  classes: z.array(Name).min(2).max(65_536).optional(),
  separator: z.enum([',', ';', '\t']).default(','),
})
export type CsvDeclaration = z.infer<typeof CsvDeclaration>

/** One data set as its owner declares it. */
export const DatasetDeclaration = z.discriminatedUnion('format', [
  IdxDeclaration,
  NpyDeclaration,
  NpzDeclaration,
  CsvDeclaration,
])
export type DatasetDeclaration = z.infer<typeof DatasetDeclaration>

const Declarations = z.strictObject({
  datasets: z
    .array(DatasetDeclaration)
    .max(256)
    .refine(list => new Set(list.map(({ name }) => name)).size === list.length, 'two data sets have the same name'),
})

/** Reads `datasets.json` of the data folder. Throws DataError with every fault of the file. */
export const readDeclarations = async (dataDir: string): Promise<readonly DatasetDeclaration[]> => {
  const file = join(dataDir, declarationsFile)
  const parsed = Declarations.safeParse(await readJson(file))
  if (parsed.success) return parsed.data.datasets
  throw new DataError('DATASETS_INVALID', `${file} is not usable:\n${z.prettifyError(parsed.error).slice(0, 4000)}`)
}

const readJson = async (file: string): Promise<unknown> => {
  let text: string
  try {
    await using handle = await open(file, 'r')
    const { size } = await handle.stat()
    if (size > maxDeclarationsBytes)
      throw new DataError('DATASETS_INVALID', `${file} has ${size} bytes; at most 1 MiB is read.`)
    text = await handle.readFile('utf8')
  } catch (cause) {
    if (cause instanceof DataError) throw cause
    throw new DataError('DATASETS_MISSING', `${file} cannot be read. Declare the data sets of this device there.`, {
      cause,
    })
  }
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new DataError('DATASETS_INVALID', `${file} is not JSON: ${(cause as Error).message}`)
  }
}
