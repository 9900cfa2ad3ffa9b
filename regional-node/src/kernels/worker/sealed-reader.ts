import { createDecipheriv, createSecretKey, type Decipheriv } from 'node:crypto'
import { fstatSync, readSync } from 'node:fs'
import { discard } from '../../log/discard.ts'
import { SLICE_BYTES } from '../round-plan.ts'
import type { Seal } from '../spooled-body.ts'
import { BLOCK_BYTES, counterBlock } from './counter-block.ts'
import { FileFailedError } from './file-failed-error.ts'
import type { OpenFiles } from './open-files.ts'

/** What was read and is not opened yet: reads do not wait, so that all readers of a thread share it. */
const sealed = Buffer.allocUnsafeSlow(SLICE_BYTES)

/** Reads ranges of a file, opened when it is sealed, straight into the memory of the kernels. */
export class SealedReader {
  readonly #path: string
  readonly #offset: number
  readonly #seal: Seal | undefined
  readonly #file: number
  #decipher: Decipheriv | undefined
  /** Where the file goes on for `#decipher`. */
  #at = -1

  /**
   * @param files own the descriptor: the reader ends with them
   * @param range `offset`: where the range begins that is read from
   */
  constructor(files: OpenFiles, { path, offset = 0, seal }: { path: string; offset?: number; seal?: Seal }) {
    this.#path = path
    this.#offset = offset
    this.#seal = seal
    this.#file = files.open(path)
  }

  /** Bytes of the file from `offset` on. */
  get bytes(): number {
    return Math.max(0, fstatSync(this.#file).size - this.#offset)
  }

  /**
   * Fills `into`.
   * @throws FileFailedError when the file ends before
   */
  read(into: Uint8Array, at: number): void {
    const from = this.#offset + at
    if (this.#seal === undefined) this.#fill(into, from)
    else this.#open(into, from, this.#seal)
  }

  #fill(into: Uint8Array, from: number): void {
    for (let filled = 0; filled < into.byteLength; ) {
      const read = readSync(this.#file, into, filled, into.byteLength - filled, from + filled)
      if (read === 0) throw new FileFailedError(`${this.#path} ends at byte ${from + filled}`)
      filled += read
    }
  }

  #open(into: Uint8Array, from: number, { key, iv }: Seal): void {
    if (from !== this.#at || this.#decipher === undefined) {
      this.#decipher = createDecipheriv(
        'aes-256-ctr',
        createSecretKey(key),
        counterBlock(iv, Math.floor(from / BLOCK_BYTES)),
      )
      if (from % BLOCK_BYTES > 0) this.#decipher.update(Buffer.alloc(from % BLOCK_BYTES))
    }
    this.#at = from + into.byteLength
    for (let done = 0; done < into.byteLength; ) {
      const part = sealed.subarray(0, Math.min(SLICE_BYTES, into.byteLength - done))
      this.#fill(part, from + done)
      const plain = this.#decipher.update(part)
      into.set(plain, done)
      discard(plain)
      done += part.byteLength
    }
  }
}
