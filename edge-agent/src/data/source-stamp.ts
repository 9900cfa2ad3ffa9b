import { createHash } from 'node:crypto'
import type { Stats } from 'node:fs'
import type { DataFiles } from './data-files.ts'
import type { DatasetReader } from './dataset-reader.ts'

/** Changes when a file does. */
const stampOf = ({ ino, size, mtimeMs, ctimeMs }: Stats): string => `${ino}:${size}:${mtimeMs}:${ctimeMs}`

/**
 * A key of the files that a data set is read from and of what is said about it: another key, other examples. Reads no data.
 * Throws DataError.
 */
export const sourceKey = async (
  { files: names, folder }: Pick<DatasetReader, 'files' | 'folder'>,
  declaration: unknown,
  files: DataFiles,
): Promise<string> => {
  const key = createHash('sha256').update(`tributary rows 1\n${JSON.stringify(declaration)}\n`)
  for (const name of names) key.update(`${stampOf(await files.stat(name))}\n`)
  if (folder !== undefined)
    for await (const [image, stats] of files.imageStats(folder))
      key.update(`${JSON.stringify(image)} ${stampOf(stats)}\n`)
  return key.digest('hex').slice(0, 32)
}
