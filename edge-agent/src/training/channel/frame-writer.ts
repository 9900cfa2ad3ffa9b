import type { Writable } from 'node:stream'
import { encodeFrame } from './encode-frame.ts'

/** Bytes handed over at once: between two of them whoever waits sees that the other end takes them. */
const pieceBytes = 4 * 2 ** 20

/** Writes one frame after the other, none faster than the other end reads it. */
export class FrameWriter {
  readonly #stream: Writable
  #last: Promise<void> = Promise.resolve()

  constructor(stream: Writable) {
    this.#stream = stream
  }

  /**
   * Resolves when the operating system has taken all of it; until then the message's arrays must not change.
   * @param onPiece called whenever a piece was taken
   * @throws what the stream does, when the other end is gone
   */
  write(message: unknown, onPiece: () => void = () => {}): Promise<void> {
    const written = this.#last.then(async () => {
      for (const part of encodeFrame(message)) {
        for (let from = 0; from < part.length; from += pieceBytes) {
          await this.#take(part.subarray(from, from + pieceBytes))
          onPiece()
        }
      }
    })
    this.#last = written.catch(() => {})
    return written
  }

  #take(piece: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#stream.write(piece, error => (error ? reject(error) : resolve()))
    })
  }
}
