import { mkdtempDisposable } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Examples } from '../training/trainer.ts'
import { convert } from './convert/convert.ts'
import type { DataFiles } from './data-files.ts'
import type { DatasetDeclaration } from './declarations/dataset-declaration.ts'
import { readAll } from './rows/read-all.ts'

/** Reads a data set into memory by way of a temporary file. Throws DataError. */
export const readExamples = async (
  declaration: DatasetDeclaration,
  files: DataFiles,
  maxBytes: number,
): Promise<Examples> => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'tributary-rows-'))
  const all = join(folder.path, 'all.rows')
  await convert(declaration, files, { all, heldOut: undefined }, { maxBytes })
  return await readAll(all)
}
