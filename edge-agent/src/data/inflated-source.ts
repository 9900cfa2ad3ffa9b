import { Readable } from 'node:stream'
import { createInflateRaw, type InflateRaw } from 'node:zlib'
import type { ByteSource } from './byte-source.ts'
import { DataError } from './data-error.ts'

const sliceBytes = 2 ** 18

/** A part of a file that is packed. */
export type Packed = {
  readonly source: ByteSource
  readonly position: number
  readonly bytes: number
}

/**
 * What a packed part of a file unpacks to, from front to back in bounded memory; going back begins anew. Reading throws
 * NPZ_MALFORMED for what is damaged, and for what unpacks to another size than it should.
 */
export class InflatedSource implements ByteSource, AsyncDisposable {
  readonly name: string
  readonly size: number
  readonly #packed: Packed
  #stream: InflateRaw | undefined
  #chunks: AsyncIterator<Buffer> | undefined
  #chunk: Buffer = Buffer.alloc(0)
  /** Of the first byte of the chunk. */
  #at = 0

  constructor(packed: Packed, name: string, size: number) {
    this.#packed = packed
    this.name = name
    this.size = size
  }

  async read(position: number, length: number): Promise<Buffer> {
    const buffer = Buffer.allocUnsafe(length)
    await this.fill(position, buffer)
    return buffer
  }

  async fill(position: number, target: Buffer): Promise<void> {
    if (position < this.#at) await this[Symbol.asyncDispose]()
    for (let filled = 0; filled < target.length; ) {
      const within = position + filled - this.#at
      if (within < this.#chunk.length) filled += this.#chunk.copy(target, filled, within)
      else if (!(await this.#next())) throw this.#damaged()
    }
    // What comes after the last byte shows only when it is asked for.
    if (position + target.length === this.size && this.#at + this.#chunk.length >= this.size) {
      const rest = this.#at + this.#chunk.length - this.size
      if (rest > 0 || (await this.#next())) throw this.#damaged()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stream?.destroy()
    this.#stream = undefined
    this.#chunks = undefined
    this.#chunk = Buffer.alloc(0)
    this.#at = 0
  }

  async #next(): Promise<boolean> {
    if (this.#chunks === undefined) {
      this.#stream = createInflateRaw()
      Readable.from(slicesOf(this.#packed))
        .on('error', error => this.#stream?.destroy(error))
        .pipe(this.#stream)
      this.#chunks = this.#stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>
    }
    try {
      const next = await this.#chunks.next()
      if (next.done === true) return false
      this.#at += this.#chunk.length
      this.#chunk = next.value
      return true
    } catch (cause) {
      throw cause instanceof DataError ? cause : this.#damaged(cause)
    }
  }

  #damaged(cause?: unknown): DataError {
    return new DataError('NPZ_MALFORMED', `${this.name} cannot be used: it is damaged. Save it again.`, { cause })
  }
}

async function* slicesOf({ source, position, bytes }: Packed): AsyncGenerator<Buffer> {
  for (let done = 0; done < bytes; done += sliceBytes)
    yield await source.read(position + done, Math.min(sliceBytes, bytes - done))
}
