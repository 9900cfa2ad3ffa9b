import { createHash, type Hash } from 'node:crypto'
import { TributaryError } from '@tributary/contracts/errors'
import type { ObjectRef } from '@tributary/contracts/ids'
import type { ObjectStore } from '../adapters/object-store.ts'
import { type Read, readAhead } from './read-ahead.ts'
import { repeated } from './storage-retries.ts'

const pieceBytes = 8 * 1024 * 1024
const piecesAhead = 4

/** An object that a merge reads, and its hash as far as it was read from the beginning. */
export class MergeSource {
  readonly object: ObjectRef
  readonly #store: ObjectStore
  readonly #hash: Hash = createHash('sha256')

  constructor(store: ObjectStore, object: ObjectRef) {
    this.#store = store
    this.object = object
  }

  range(start: number, end: number): Read<Uint8Array> {
    return signal => repeated(() => this.#store.readRange(this.object.objectKey, { start, end }, signal), signal)
  }

  /** Takes the next bytes of the object into its hash. */
  passed(bytes: Uint8Array): void {
    this.#hash.update(bytes)
  }

  /** @throws TributaryError CHECKSUM_MISMATCH when what passed, from first to last byte, is not what was declared */
  check(): void {
    if (this.#hash.digest('hex') === this.object.sha256) return
    throw new TributaryError('CHECKSUM_MISMATCH', {
      detail: `object ${this.object.objectKey} has not the declared sha256`,
    })
  }
}

/**
 * Reads an object whole, for its hash alone.
 * @param onProgress called after each piece
 * @returns hex sha256
 */
export const hashObject = async (
  store: ObjectStore,
  { objectKey, bytes }: Pick<ObjectRef, 'objectKey' | 'bytes'>,
  { signal, onProgress }: { readonly signal: AbortSignal; readonly onProgress: () => Promise<void> },
): Promise<string> => {
  const hash = createHash('sha256')
  function* reads(): Generator<Read<Uint8Array>> {
    for (let start = 0; start < bytes; start += pieceBytes) {
      const range = { start, end: Math.min(bytes, start + pieceBytes) }
      yield reading => repeated(() => store.readRange(objectKey, range, reading), reading)
    }
  }
  for await (const piece of readAhead(reads(), piecesAhead, signal)) {
    hash.update(piece)
    await onProgress()
  }
  return hash.digest('hex')
}
