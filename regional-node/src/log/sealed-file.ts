import { type FileHandle, open } from 'node:fs/promises'
import { discard } from './discard.ts'
import { LogCorruptError } from './log-corrupt-error.ts'
import { fileCipher, type Seal } from './log-key.ts'

/** A range of a file on disk, sealed or not. */
export type FileRange = {
  readonly path: string
  readonly offset: number
  readonly bytes: number
  /** AES-256-CTR; its counter block is that of byte 0 of the file. */
  readonly seal?: Seal
}

/** Reads ranges of what a file holds, opened; no more than is asked for is in memory at a time. */
export class RangeReader {
  readonly #handle: FileHandle
  readonly #range: FileRange

  private constructor(handle: FileHandle, range: FileRange) {
    this.#handle = handle
    this.#range = range
  }

  static async open(range: FileRange): Promise<RangeReader> {
    return new RangeReader(await open(range.path, 'r'), range)
  }

  /** @throws LogCorruptError when the file ends before */
  async range(start: number, length: number): Promise<Buffer> {
    const { path, offset, seal } = this.#range
    const bytes = Buffer.from(new ArrayBuffer(length))
    for (let filled = 0; filled < length; ) {
      const { bytesRead } = await this.#handle.read(bytes, filled, length - filled, offset + start + filled)
      if (bytesRead === 0) throw new LogCorruptError(`the file ${path} ends at byte ${offset + start + filled}`)
      filled += bytesRead
    }
    return seal === undefined ? bytes : fileCipher(seal, offset + start)(bytes)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#handle.close()
  }
}

/** Writes a file front to back, sealed; the other side of `RangeReader`. */
export class SealedWriter {
  readonly #handle: FileHandle
  readonly #cipher: (bytes: Uint8Array) => Uint8Array
  #end: number
  #head: Buffer | undefined

  /** @param head written in front of the first bytes, as it is */
  constructor(handle: FileHandle, seal: Seal | undefined, offset: number, head?: Buffer) {
    this.#handle = handle
    this.#cipher = seal === undefined ? bytes => bytes : fileCipher(seal, offset)
    this.#end = offset
    this.#head = head
  }

  /** Makes the file anew. */
  static async create(path: string, seal?: Seal): Promise<SealedWriter> {
    return new SealedWriter(await open(path, 'w', 0o600), seal, 0)
  }

  /** Offset behind what was written. */
  get end(): number {
    return this.#end
  }

  async write(bytes: Uint8Array): Promise<void> {
    const sealed = this.#cipher(bytes)
    await this.#append(sealed)
    if (sealed !== bytes) discard(sealed)
  }

  /** The head goes with the first bytes, or by itself where none come. */
  async #append(sealed: Uint8Array): Promise<void> {
    if (this.#head !== undefined) {
      const head = this.#head
      const start = this.#end - head.byteLength
      const { bytesWritten } = await this.#handle.writev([head, sealed], start)
      if (bytesWritten < head.byteLength) throw Object.assign(new Error('the disk is full'), { code: 'ENOSPC' })
      this.#head = undefined
      const written = bytesWritten - head.byteLength
      this.#end += written
      sealed = sealed.subarray(written)
    }
    for (let written = 0; written < sealed.byteLength; ) {
      const left = sealed.byteLength - written
      written += (await this.#handle.write(sealed, written, left, this.#end + written)).bytesWritten
    }
    this.#end += sealed.byteLength
  }

  async sync(): Promise<void> {
    if (this.#head !== undefined) await this.#append(new Uint8Array(0))
    await this.#handle.datasync()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#handle.close()
  }
}
