import type { ObjectRef } from '@tributary/contracts/ids'

/** Models and sums by key. Objects are never rewritten with other bytes. */
export type ObjectStore = {
  /**
   * The bytes of an object, as a stream.
   * @throws ObjectMissingError
   */
  readonly read: (objectKey: string, signal: AbortSignal) => Promise<AsyncIterable<Uint8Array>>
  /** Stores a file under its key; the store verifies the bytes by their sha256. */
  readonly write: (file: string, object: ObjectRef, signal: AbortSignal) => Promise<void>
}

export class ObjectMissingError extends Error {
  override readonly name = 'ObjectMissingError'
}
