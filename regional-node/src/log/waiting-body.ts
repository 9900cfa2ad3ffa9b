import { discardMessage } from './discard.ts'

/** Appends to a body. */
export type SpoolWriter = AsyncDisposable & {
  /** Bytes of the body that are there. */
  readonly length: number
  /** The chunk is the spool's from now on: its memory is freed once it is on the disk. */
  readonly write: (chunk: Uint8Array) => Promise<void>
  /** Resolves once everything written is durable. @throws NoRoomError */
  readonly sync: () => Promise<void>
}

type Ways = {
  /** Makes the whole body durable. */
  readonly keep: (parts: readonly Uint8Array[]) => Promise<void>
  /** Begins a file, which owns the room from then on. */
  readonly spill: (room: Disposable) => Promise<SpoolWriter>
}

/** Smaller chunks are put together in blocks of this size. */
const blockBytes = 16 * 1024

/** Whether hardly more memory is kept than the bytes that are wanted. */
const isFrugal = ({ byteLength, buffer }: Uint8Array): boolean =>
  byteLength >= blockBytes && buffer.byteLength <= 2 * byteLength

/** A small body: in memory until it is whole. Where its upload ends before, what came goes to a file, from which it resumes. */
export class WaitingBody implements SpoolWriter {
  readonly #totalBytes: number
  readonly #held: Disposable
  readonly #room: Disposable
  readonly #ways: Ways
  #parts: Uint8Array[] = []
  #block: { readonly bytes: Uint8Array; filled: number } | undefined
  #isSpilled = false
  #length = 0

  /**
   * @param held given back at the end
   * @param room on the disk; given back at the end as well, where no file took it
   */
  constructor(totalBytes: number, held: Disposable, room: Disposable, ways: Ways) {
    this.#totalBytes = totalBytes
    this.#held = held
    this.#room = room
    this.#ways = ways
  }

  get length(): number {
    return this.#length
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (isFrugal(chunk)) {
      this.#endBlock()
      this.#parts.push(chunk)
    } else this.#copy(chunk)
    this.#length += chunk.byteLength
  }

  /** A device chooses how its body is cut: each chunk of a few bytes would keep a buffer of what came with it, and an object or two. */
  #copy(chunk: Uint8Array): void {
    for (let done = 0; done < chunk.byteLength; ) {
      this.#block ??= { bytes: new Uint8Array(Math.min(blockBytes, this.#totalBytes - this.#length - done)), filled: 0 }
      const { bytes, filled } = this.#block
      const part = chunk.subarray(done, done + bytes.byteLength - filled)
      bytes.set(part, filled)
      this.#block.filled += part.byteLength
      done += part.byteLength
      if (this.#block.filled === bytes.byteLength) this.#endBlock()
    }
  }

  #endBlock(): void {
    if (this.#block !== undefined) this.#parts.push(this.#block.bytes.subarray(0, this.#block.filled))
    this.#block = undefined
  }

  async sync(): Promise<void> {
    this.#endBlock()
    if (this.#length === this.#totalBytes) {
      await this.#ways.keep(this.#parts)
      for (const part of this.#parts) discardMessage(part)
      return
    }
    if (this.#length === 0) return
    this.#isSpilled = true
    await using file = await this.#ways.spill(this.#room)
    for (const part of this.#parts) await file.write(part)
    await file.sync()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#parts = []
    this.#block = undefined
    this.#held[Symbol.dispose]()
    if (!this.#isSpilled) this.#room[Symbol.dispose]()
  }
}
