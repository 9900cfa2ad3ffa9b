import { TributaryError } from '@tributary/contracts/errors'

/**
 * Watches over the parts of one upload: each has to come within the time, and none is waited for once one of the signals has aborted.
 * What happens between two parts is not counted.
 */
export class StallWatch implements Disposable {
  readonly #signals: readonly AbortSignal[]
  readonly #timer: NodeJS.Timeout
  readonly #onAbort = () => this.#refuse?.(this.#aborted?.reason)
  /** Refuses the part that is waited for. */
  #refuse: ((reason: unknown) => void) | undefined

  constructor(millis: number, signals: readonly AbortSignal[]) {
    this.#signals = signals
    // One timer that is set back: an upload of a large model has thousands of parts.
    this.#timer = setTimeout(() => {
      this.#refuse?.(new TributaryError('UNAVAILABLE', { detail: `Nothing moved for ${millis} ms. Resume.` }))
    }, millis)
    for (const signal of signals) signal.addEventListener('abort', this.#onAbort)
  }

  /** @throws TributaryError UNAVAILABLE; the reason of a signal */
  async within<Part>(part: Promise<Part>): Promise<Part> {
    this.#timer.refresh()
    try {
      return await new Promise<Part>((resolve, reject) => {
        this.#refuse = reject
        if (this.#aborted !== undefined) this.#onAbort()
        part.then(resolve, reject)
      })
    } finally {
      this.#refuse = undefined
    }
  }

  get #aborted(): AbortSignal | undefined {
    return this.#signals.find(({ aborted }) => aborted)
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
    for (const signal of this.#signals) signal.removeEventListener('abort', this.#onAbort)
  }
}
