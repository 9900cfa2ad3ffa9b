import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { Slug } from '@tributary/contracts/ids'
import * as z from 'zod'
import { DataError } from './data-error.ts'

export const declarationsFile = 'datasets.json'
const maxDeclarationsBytes = 1024 * 1024

/** One data set as its owner declares it. */
export const DatasetDeclaration = z.strictObject({
  name: Slug,
  /** A test set: evaluated on, never trained on. */
  heldOut: z.boolean().default(false),
  format: z.literal('idx'),
  /** IDX file of unsigned bytes: examples, then the axes of one example. Relative to the data folder. */
  images: z.string().min(1).max(1024),
  /** IDX file of unsigned bytes with one axis: class of each example. */
  labels: z.string().min(1).max(1024),
  /** Features are divided by it. */
  scale: z.number().positive().finite().default(1),
})
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
