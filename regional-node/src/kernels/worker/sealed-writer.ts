import { type Cipheriv, createCipheriv, createHash, createSecretKey } from 'node:crypto'
import { closeSync, fdatasyncSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { discard } from '../../log/discard.ts'
import { SLICE_BYTES } from '../round-plan.ts'
import type { Seal, StoredFile } from '../spooled-body.ts'

/** What may wait for the disk: more would make the last sync of a large file look like a thread that hangs. */
const mostUnsyncedBytes = 64 * 1024 * 1024

/** Writes a file front to back, sealed on the way to the disk; what was at the path before is gone. */
export class SealedWriter implements Disposable {
  readonly #file: number
  readonly #cipher: Cipheriv | undefined
  readonly #hash = createHash('sha256')
  #bytes = 0
  #unsyncedBytes = 0

  constructor({ path, seal }: { path: string; seal?: Seal }) {
    this.#file = openSync(path, 'w', 0o600)
    this.#cipher = seal && createCipheriv('aes-256-ctr', createSecretKey(seal.key), seal.iv)
  }

  write(plain: Uint8Array): void {
    this.#hash.update(plain)
    for (let done = 0; done < plain.byteLength; done += SLICE_BYTES) {
      const slice = plain.subarray(done, done + SLICE_BYTES)
      const stored = this.#cipher?.update(slice) ?? slice
      for (let written = 0; written < stored.byteLength; ) {
        written += writeSync(this.#file, stored, written, stored.byteLength - written)
      }
      if (stored !== slice) discard(stored)
    }
    this.#bytes += plain.byteLength
    this.#unsyncedBytes += plain.byteLength
    if (this.#unsyncedBytes < mostUnsyncedBytes) return
    fdatasyncSync(this.#file)
    this.#unsyncedBytes = 0
  }

  /** Makes the file durable; its folder's entry is the caller's. */
  finish(): StoredFile {
    fsyncSync(this.#file)
    return { sha256: this.#hash.digest('hex'), bytes: this.#bytes }
  }

  [Symbol.dispose](): void {
    closeSync(this.#file)
  }
}
