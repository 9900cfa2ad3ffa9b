import type { ObjectRef } from '@tributary/contracts/ids'
import type { FileRange } from '../log/sealed-file.ts'

/** Models and sums by key. Objects are never rewritten with other bytes. */
export type ObjectStore = {
  /**
   * The bytes of an object, as a stream.
   * @throws ObjectMissingError
   */
  readonly read: (objectKey: string, signal: AbortSignal) => Promise<AsyncIterable<Uint8Array>>
  /**
   * Stores what a file holds under its key, part by part; the store verifies the bytes by their sha256.
   * @throws LogCorruptError where the file does not hold the object's bytes: nothing is stored
   */
  readonly write: (file: FileRange, object: ObjectRef, signal: AbortSignal) => Promise<void>
}

export class ObjectMissingError extends Error {
  override readonly name = 'ObjectMissingError'
}
