import { createHash } from 'node:crypto'
import { TributaryError } from '@tributary/contracts/errors'
import type { ObjectRef } from '@tributary/contracts/ids'
import { type KeptLocal, mostKeptNames, type TaskPersonalisation } from '@tributary/contracts/personalisation'
import { type KeptManifest, keepLocally } from '@tributary/learning/personalisation/keep-local'
import { KeepLocalError } from '@tributary/learning/personalisation/keep-local-error'
import type { Manifest } from '@tributary/tensors/manifest'
import type { ObjectStore } from '../../adapters/object-store.ts'
import { type DeclaredObject, readStoredFile } from '../../models/stored-file.ts'
import { graphFacts } from './graph-facts.ts'

/** The manifest that the rounds of a task go by, and what it keeps local. */
export type TaskManifest = { readonly manifest: ObjectRef; readonly keptLocal: KeptLocal }

/**
 * Stores the manifest of a task that keeps tensors on its devices. Its key is its hash: the same wishes for the same model are one
 * object, and storing it again does no harm. It stays, as the settings of the task do; with at most 1 MiB nobody has to look for it.
 * @throws TributaryError KEEP_LOCAL_INVALID, UPLOAD_MISSING, CHECKSUM_MISMATCH
 */
export const keepTaskLocally = async (
  store: ObjectStore,
  start: { readonly model: string; readonly manifest: Manifest; readonly graph: DeclaredObject | null },
  { keepLocal }: TaskPersonalisation,
  signal: AbortSignal,
): Promise<TaskManifest> => {
  const graph = start.graph === null ? undefined : graphFacts(await readStoredFile(store, start.graph, signal))
  const kept = checked(() => keepLocally(start.manifest, keepLocal, graph))
  const bytes = new TextEncoder().encode(JSON.stringify(kept.manifest))
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const objectKey = `models/${start.model}/manifests/${sha256}.json`
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
