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

/** A small body: in memory until it is whole. Where its upload ends before, what came goes to a file, from which it resumes. */
export class WaitingBody implements SpoolWriter {
  readonly #totalBytes: number
  readonly #held: Disposable
  readonly #room: Disposable
  readonly #ways: Ways
  #parts: Uint8Array[] = []
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
    this.#parts.push(chunk)
    this.#length += chunk.byteLength
  }

  async sync(): Promise<void> {
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
    this.#held[Symbol.dispose]()
    if (!this.#isSpilled) this.#room[Symbol.dispose]()
  }
}
