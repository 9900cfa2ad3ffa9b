import { TrainingError } from './training-error.ts'

/** Lets one at a time through, in order of arrival; the line behind it is bounded. */
export class Turnstile {
  readonly #maxWaiting: number
  #line: (() => void)[] = []
  #busy = false

  constructor(maxWaiting: number) {
    this.#maxWaiting = maxWaiting
  }

  /** Waits for its turn; dispose of the result to end it. Throws BUSY when the line is full, or the signal's reason. */
  async enter(signal: AbortSignal | undefined): Promise<Disposable> {
    signal?.throwIfAborted()
    if (this.#line.length >= this.#maxWaiting) {
      throw new TrainingError('BUSY', `${this.#maxWaiting} jobs are waiting already. Try again when one is done.`)
    }
    if (this.#busy) await this.#wait(signal)
    this.#busy = true
    return {
      [Symbol.dispose]: () => {
        const next = this.#line.shift()
        if (next === undefined) this.#busy = false
        else next()
      },
    }
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#line = this.#line.filter(other => other !== pass)
        reject(signal?.reason)
      }
      const pass = (): void => {
        signal?.removeEventListener('abort', leave)
        resolve()
      }
      signal?.addEventListener('abort', leave, { once: true })
      this.#line.push(pass)
    })
  }
}
