import { createHash } from 'node:crypto'
import { TributaryError } from '@tributary/contracts/errors'
import type { ObjectRef } from '@tributary/contracts/ids'
import { type KeptLocal, mostKeptNames, type TaskPersonalisation } from '@tributary/contracts/personalisation'
import { type KeptManifest, keepLocally } from '@tributary/learning/personalisation/keep-local'
import { KeepLocalError } from '@tributary/learning/personalisation/keep-local-error'
import type { ObjectStore } from '../../adapters/object-store.ts'
import type { Transaction } from '../../database/transaction.ts'
import { parseManifest } from '../../models/check-manifest.ts'
import { declaredBundle, readStoredFile } from '../../models/stored-file.ts'
import { selectVersion } from '../../models/version-row.ts'
import { graphFacts } from './graph-facts.ts'

/** The manifest that the rounds of a task go by, and what it keeps local. */
export type TaskManifest = { readonly manifest: ObjectRef; readonly keptLocal: KeptLocal }

/**
 * Stores the manifest of a task that keeps tensors on its devices. Its key is its hash: the same wishes for the same model are one
 * object, and storing it again does no harm. It stays, as the settings of the task do; with at most 1 MiB nobody has to look for it.
 *
 * It reads and writes storage while the transaction holds the version, which only a task that asks for it does: so
 * nobody deletes the files, or moves the alias, in between.
 * @throws TributaryError KEEP_LOCAL_INVALID, UPLOAD_MISSING, CHECKSUM_MISMATCH
 */
export const keepTaskLocally = async (
  store: ObjectStore,
  sql: Transaction,
  version: { readonly model: string; readonly version: string },
  { keepLocal }: TaskPersonalisation,
  signal: AbortSignal,
): Promise<TaskManifest> => {
  const files = declaredBundle(await selectVersion(sql, version))
  if (files.manifest === null) throw new Error(`version ${version.version} is ready and has no manifest`)
  const manifest = parseManifest(await readStoredFile(store, files.manifest, signal))
  const graph = files.graph === null ? undefined : graphFacts(await readStoredFile(store, files.graph, signal))
  const kept = checked(() => keepLocally(manifest, keepLocal, graph))
  const bytes = new TextEncoder().encode(JSON.stringify(kept.manifest))
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const objectKey = `models/${version.model}/manifests/${sha256}.json`
  await store.put(objectKey, bytes, { contentType: 'application/json', signal })
  return { manifest: { objectKey, sha256, bytes: bytes.byteLength }, keptLocal: viewOf(kept) }
}

const checked = (keep: () => KeptManifest): KeptManifest => {
  try {
    return keep()
  } catch (error) {
    if (!(error instanceof KeepLocalError)) throw error
    const { message, pattern } = error
    throw new TributaryError('KEEP_LOCAL_INVALID', {
      detail: `personalisation.keepLocal: ${message}`,
      ...(pattern !== null && { extra: { pattern } }),
      cause: error,
    })
  }
}

const viewOf = ({ patterns, kept }: KeptManifest): KeptLocal => ({
  patterns: patterns.map(({ pattern, tensors }) => ({ pattern, tensors: tensors.length })),
  tensors: kept.slice(0, mostKeptNames),
  count: kept.length,
})
