import type { CreateTask } from '@tributary/contracts/tasks'
import type { Manifest } from '@tributary/tensors/manifest'
import type { Context } from '../context.ts'
import { parseManifest } from '../models/check-manifest.ts'
import { declaredBundle, readStoredFile } from '../models/stored-file.ts'
import { selectVersion } from '../models/version-row.ts'
import { chooseVersion } from './choose-version.ts'
import { keepTaskLocally, type TaskManifest } from './keep-local/keep-task-locally.ts'

/** What follows from the files of the version that a task starts from. */
export type PreparedTask = {
  /** As it was chosen: an alias that moves meanwhile does not part it from its files. */
  readonly version: string
  readonly manifest: Manifest
  /** Null where the rounds go by the version's own manifest. */
  readonly local: TaskManifest | null
}

/**
 * Reads and writes what a task needs of object storage, before the transaction that creates it: storage may be slow, and a
 * transaction holds its locks and the only connection.
 * @returns null where the settings ask for nothing that lies in files
 * @throws TributaryError as `chooseVersion` and `keepTaskLocally`
 */
export const prepareTask = async (
  { database, store }: Pick<Context, 'database' | 'store'>,
  { model: { model, ...choice }, personalisation, statistics }: CreateTask,
  signal: AbortSignal,
): Promise<PreparedTask | null> => {
  if (personalisation === undefined && statistics === undefined) return null
  const { version, files } = await database.read(async sql => {
    const { id } = await chooseVersion(sql, { model, ...choice })
    return { version: id, files: declaredBundle(await selectVersion(sql, { model, version: id })) }
  })
  if (files.manifest === null) throw new Error(`version ${version} is ready and has no manifest`)
  const manifest = parseManifest(await readStoredFile(store, files.manifest, signal))
  const local =
    personalisation === undefined
      ? null
      : await keepTaskLocally(store, { model, manifest, graph: files.graph }, personalisation, signal)
  return { version, manifest, local }
}
