import { open } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { DataError } from '../data-error.ts'
import { DatasetDeclaration } from './dataset-declaration.ts'

export const declarationsFile = 'datasets.json'
const maxDeclarationsBytes = 1024 * 1024

/** Names of the data sets that a declaration makes. */
const namesOf = ({ name, split }: DatasetDeclaration): string[] => [
  name,
  ...(split === undefined ? [] : [split.heldOut]),
]

const Declarations = z.strictObject({
  datasets: z
    .array(DatasetDeclaration)
    .max(256)
    .refine(
      list => new Set(list.flatMap(namesOf)).size === list.flatMap(namesOf).length,
      'two data sets have the same name',
    )
    .refine(
      list => list.every(({ heldOut, split }) => !heldOut || split === undefined),
      'a data set that is held out as a whole cannot be split',
    ),
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
