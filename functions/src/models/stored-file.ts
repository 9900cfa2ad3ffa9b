import { createHash } from 'node:crypto'
import { TributaryError } from '@tributary/contracts/errors'
import type { ObjectStore } from '../adapters/object-store.ts'
import { type Read, readAhead } from '../merge/read-ahead.ts'
import type { VersionRow } from './version-row.ts'

/** A file as its version declares it. */
export type DeclaredObject = {
  /** For messages. */
  readonly file: 'weights' | 'manifest' | 'graph'
  readonly key: string
  readonly sha256: string
  readonly bytes: number
}

/** What long work on a file needs beside the file. */
export type Progress = {
  readonly signal: AbortSignal
  /** Called after each range. */
  readonly onProgress?: () => Promise<void>
}

/** Of a range that is read, and how many are read at once: 32 MB are held, whatever the size of the file. */
const rangeBytes = 4 * 1024 ** 2
const rangesAhead = 8

/** The files of a version; the manifest is null while it is not derived. */
export const declaredBundle = (version: VersionRow) => ({
  manifest:
    version.manifest_bytes === 0
      ? null
      : ({
          file: 'manifest',
          key: version.manifest_key,
          sha256: version.manifest_sha256,
          bytes: version.manifest_bytes,
        } as const),
  weights: {
    file: 'weights',
    key: version.weights_key,
    sha256: version.weights_sha256,
    bytes: version.weights_bytes,
  } as const,
  graph:
    version.graph_key === null
      ? null
      : ({
          file: 'graph',
          key: version.graph_key,
          sha256: version.graph_sha256 ?? '',
          bytes: version.graph_bytes ?? 0,
        } as const),
})

/**
 * A small file that was uploaded, whole.
 * @throws TributaryError UPLOAD_MISSING, CHECKSUM_MISMATCH
 */
export const readStoredFile = async (
  store: ObjectStore,
  declared: DeclaredObject,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> => {
  await checkSize(store, declared, signal)
  const bytes = await store.readRange(declared.key, { start: 0, end: declared.bytes }, signal)
  if (createHash('sha256').update(bytes).digest('hex') !== declared.sha256) throw mismatch(declared)
  return bytes
}

/**
 * Checks an uploaded file of any size: by the checksum that the store took at the upload, else by reading it.
 * @throws TributaryError UPLOAD_MISSING, CHECKSUM_MISMATCH
 */
export const checkStoredFile = async (
  store: ObjectStore,
  declared: DeclaredObject,
  progress: Progress,
): Promise<void> => {
  const known = await checkSize(store, declared, progress.signal)
  if ((known ?? (await hashOf(store, declared, progress))) !== declared.sha256) throw mismatch(declared)
}

/** The bytes from `start` to `end` in ranges, read ahead of their use. */
export async function* rangesOf(
  store: ObjectStore,
  key: string,
  { start, end }: { start: number; end: number },
  { signal, onProgress }: Progress,
): AsyncGenerator<Uint8Array> {
  function* reads(): Generator<Read<Uint8Array>> {
    for (let from = start; from < end; from += rangeBytes) {
      yield stopping => store.readRange(key, { start: from, end: Math.min(from + rangeBytes, end) }, stopping)
    }
  }
  for await (const range of readAhead(reads(), rangesAhead, signal)) {
    yield range
    await onProgress?.()
  }
}

const checkSize = async (store: ObjectStore, declared: DeclaredObject, signal: AbortSignal): Promise<string | null> => {
  const head = await store.head(declared.key, signal)
  if (head === null) throw new TributaryError('UPLOAD_MISSING', { detail: `${declared.file} is not uploaded` })
  if (head.bytes !== declared.bytes) throw mismatch(declared)
  return head.sha256
}

const hashOf = async (store: ObjectStore, { key, bytes }: DeclaredObject, progress: Progress): Promise<string> => {
  const hash = createHash('sha256')
  for await (const range of rangesOf(store, key, { start: 0, end: bytes }, progress)) hash.update(range)
  return hash.digest('hex')
}

export const mismatch = ({ file }: DeclaredObject): TributaryError =>
  new TributaryError('CHECKSUM_MISMATCH', { detail: `${file} has not the declared size and sha256` })
