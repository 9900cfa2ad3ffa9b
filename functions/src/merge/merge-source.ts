import { createHash, type Hash } from 'node:crypto'
import { TributaryError } from '@tributary/contracts/errors'
import type { ObjectRef } from '@tributary/contracts/ids'
import type { ByteRange, ObjectStore } from '../adapters/object-store.ts'
import { type Read, readAhead } from './read-ahead.ts'
import { SpareBuffers } from './spare-buffers.ts'
import { repeated } from './storage-retries.ts'

const pieceBytes = 8 * 1024 * 1024
const piecesAhead = 4

type Bytes = Uint8Array<ArrayBuffer>

const readInto =
  (store: ObjectStore, key: string, range: ByteRange, buffers: SpareBuffers): Read<Bytes> =>
  signal => {
    const into = buffers.take(range.end - range.start)
    return repeated(() => store.readRange(key, range, signal, into), signal)
  }

/** An object that a merge reads, and its hash as far as it was read from the beginning. */
export class MergeSource {
  readonly object: ObjectRef
  readonly #store: ObjectStore
  readonly #buffers: SpareBuffers
  readonly #hash: Hash = createHash('sha256')

  constructor(store: ObjectStore, object: ObjectRef, buffers: SpareBuffers) {
    this.#store = store
    this.object = object
    this.#buffers = buffers
  }

  /** A range in memory that goes back to the spare buffers. */
  range(start: number, end: number): Read<Bytes> {
    return readInto(this.#store, this.object.objectKey, { start, end }, this.#buffers)
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
  const buffers = new SpareBuffers()
  function* reads(): Generator<Read<Bytes>> {
    for (let start = 0; start < bytes; start += pieceBytes) {
      yield readInto(store, objectKey, { start, end: Math.min(bytes, start + pieceBytes) }, buffers)
    }
  }
  for await (const piece of readAhead(reads(), piecesAhead, signal)) {
    hash.update(piece)
    buffers.give(piece)
    await onProgress()
  }
  return hash.digest('hex')
}
