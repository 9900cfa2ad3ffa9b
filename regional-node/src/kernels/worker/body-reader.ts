import type { Kernels } from '@tributary/learning/kernels/kernels'
import type { UpdatePart } from '@tributary/learning/update/update-body'
import type { Manifest } from '@tributary/tensors/manifest'
import { SLICE_ADDRESS, SLICE_BYTES } from '../round-plan.ts'
import type { SpooledBody } from '../spooled-body.ts'
import type { OpenFiles } from './open-files.ts'
import { readParts } from './read-parts.ts'
import { SealedReader } from './sealed-reader.ts'

/**
 * A body for the kernels, in the slice of their memory: a small one is read once and stays there as a whole, of others one range at a
 * time. One body at a time may be read into a memory.
 */
export class BodyReader {
  readonly #memory: Uint8Array
  readonly #file: SealedReader
  readonly #bytes: number
  #isThere = false

  constructor(kernels: Kernels, files: OpenFiles, body: SpooledBody) {
    this.#memory = kernels.bytes
    this.#file = new SealedReader(files, body)
    this.#bytes = body.bytes
  }

  /** Bytes of the file from the body on. */
  get fileBytes(): number {
    return this.#file.bytes
  }

  /** The whole of a small body; undefined where it is a large one. @throws FileFailedError when the file ends before */
  whole(): Uint8Array | undefined {
    if (this.#bytes > SLICE_BYTES) return undefined
    const whole = this.#memory.subarray(SLICE_ADDRESS, SLICE_ADDRESS + this.#bytes)
    if (!this.#isThere) this.#file.read(whole, 0)
    this.#isThere = true
    return whole
  }

  /** Where the tensors lie. @throws InvalidUpdateError as `readParts` @throws FileFailedError */
  parts(manifest: Manifest): readonly UpdatePart[] {
    const whole = this.whole()
    const readStart = (bytes: number): Buffer => {
      const start = Buffer.alloc(bytes)
      if (whole === undefined) this.#file.read(start, 0)
      else start.set(whole.subarray(0, bytes))
      return start
    }
    return readParts(readStart, this.#bytes, manifest)
  }

  /**
   * Address of a range, which is there until the next one is taken.
   * @param bytes SLICE_BYTES at most
   * @throws FileFailedError when the file ends before
   */
  take(offset: number, bytes: number): number {
    if (this.whole() !== undefined) return SLICE_ADDRESS + offset
    this.#file.read(this.#memory.subarray(SLICE_ADDRESS, SLICE_ADDRESS + bytes), offset)
    return SLICE_ADDRESS
  }
}
