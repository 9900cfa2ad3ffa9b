import { mkdir, mkdtempDisposable, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DataFiles } from '../data/data-files.ts'
import { DatasetDeclaration } from '../data/declarations/dataset-declaration.ts'
import { readExamples } from '../data/read-examples.ts'
import type { Examples } from '../training/trainer.ts'

/** A data folder with these files, which goes when it is let go of. */
export const dataFolderWith = async (
  files: Readonly<Record<string, string | Uint8Array>>,
): Promise<AsyncDisposable & { readonly path: string }> => {
  const folder = await mkdtempDisposable(join(tmpdir(), 'tributary-data-'))
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder.path, name)), { recursive: true })
    await writeFile(join(folder.path, name), content)
  }
  return folder
}

/** Reads a declared data set from these files. */
export const readDeclared = async (
  declaration: Readonly<Record<string, unknown>>,
  files: Readonly<Record<string, string | Uint8Array>>,
): Promise<Examples> => {
  await using folder = await dataFolderWith(files)
  await using sources = DataFiles.of(folder.path)
  return await readExamples(DatasetDeclaration.parse({ name: 'x', ...declaration }), sources, 2 ** 28)
}
