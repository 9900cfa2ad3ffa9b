import { createHash } from 'node:crypto'
import { TributaryError } from '@tributary/contracts/errors'
import type { ObjectStore } from '../adapters/object-store.ts'

/** A file as its version declares it. */
export type DeclaredObject = {
  /** For messages: `weights`, `manifest`, `graph`. */
  readonly file: string
  readonly key: string
  readonly sha256: string
  readonly bytes: number
}

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
 * Checks an uploaded file of any size: by the checksum that the store took at the upload, else by reading it as a stream.
 * @throws TributaryError UPLOAD_MISSING, CHECKSUM_MISMATCH
 */
export const checkStoredFile = async (
  store: ObjectStore,
  declared: DeclaredObject,
  signal: AbortSignal,
): Promise<void> => {
  const known = await checkSize(store, declared, signal)
  if ((known ?? (await hashOf(store, declared.key, signal))) !== declared.sha256) throw mismatch(declared)
}

const checkSize = async (store: ObjectStore, declared: DeclaredObject, signal: AbortSignal): Promise<string | null> => {
  const head = await store.head(declared.key, signal)
  if (head === null) throw new TributaryError('UPLOAD_MISSING', { detail: `${declared.file} is not uploaded` })
  if (head.bytes !== declared.bytes) throw mismatch(declared)
  return head.sha256
}

const hashOf = async (store: ObjectStore, key: string, signal: AbortSignal): Promise<string> => {
  const hash = createHash('sha256')
  for await (const chunk of await store.read(key, { signal })) hash.update(chunk)
  return hash.digest('hex')
}

const mismatch = ({ file }: DeclaredObject): TributaryError =>
  new TributaryError('CHECKSUM_MISMATCH', { detail: `${file} has not the declared size and sha256` })
