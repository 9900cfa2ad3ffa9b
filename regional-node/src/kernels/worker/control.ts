import { CANCEL_ALL, CANCEL_WORD, HEARTBEAT_WORD } from '../jobs.ts'

/** The job shall stop: nobody waits for it. */
export class CancelledError extends Error {
  override readonly name = 'CancelledError'
}

/** How a running job shows that it lives, and learns that it shall stop. */
export class Control {
  readonly #words: Int32Array
  #job = 0

  /** Tells that the thread has started. */
  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer)
    Atomics.add(this.#words, HEARTBEAT_WORD, 1)
  }

  begin(job: number): void {
    this.#job = job
  }

  /**
   * To be called before each slice.
   * @throws CancelledError
   */
  beat(): void {
    Atomics.add(this.#words, HEARTBEAT_WORD, 1)
    const cancelled = Atomics.load(this.#words, CANCEL_WORD)
    if (cancelled === this.#job || cancelled === CANCEL_ALL) throw new CancelledError()
  }
}
