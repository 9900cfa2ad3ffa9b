import { TributaryError } from '@tributary/contracts/errors'

/** What has to come in the time that a part may take: who sends less holds a place that others wait for. */
const leastBytes = 32 * 1024

/**
 * Watches over the parts of one upload: each has to come within the time, so have 32 KiB of small ones, and none is waited for once one
 * of the signals has aborted. What happens between two parts is not counted.
 */
export class StallWatch implements Disposable {
  readonly #millis: number
  readonly #signals: readonly AbortSignal[]
  readonly #timer: NodeJS.Timeout
  readonly #onAbort = () => this.#refuse?.(this.#aborted?.reason)
  /** Refuses the part that is waited for. */
  #refuse: ((reason: unknown) => void) | undefined
  /** Since so many bytes had come in time. */
  #waitedMillis = 0
  #bytes = 0

  constructor(millis: number, signals: readonly AbortSignal[]) {
    this.#millis = millis
    this.#signals = signals
    // One timer that is set back: an upload of a large model has thousands of parts.
    this.#timer = setTimeout(() => {
      this.#refuse?.(tooSlow(`Nothing moved for ${millis} ms.`))
    }, millis)
    for (const signal of signals) signal.addEventListener('abort', this.#onAbort)
  }

  /** @throws TributaryError UNAVAILABLE; the reason of a signal */
  async within<Part>(part: Promise<Part>): Promise<Part> {
    this.#timer.refresh()
    const began = performance.now()
    try {
      return await new Promise<Part>((resolve, reject) => {
        this.#refuse = reject
        if (this.#aborted !== undefined) this.#onAbort()
        part.then(resolve, reject)
      })
    } finally {
      this.#refuse = undefined
      this.#waitedMillis += performance.now() - began
    }
  }

  /** The last part had so many bytes. @throws TributaryError UNAVAILABLE */
  came(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes < leastBytes) {
      if (this.#waitedMillis > this.#millis) throw tooSlow(`${this.#bytes} bytes came in ${this.#millis} ms.`)
      return
    }
    this.#bytes = 0
    this.#waitedMillis = 0
  }

  get #aborted(): AbortSignal | undefined {
    return this.#signals.find(({ aborted }) => aborted)
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
    for (const signal of this.#signals) signal.removeEventListener('abort', this.#onAbort)
  }
}

const tooSlow = (what: string): TributaryError => new TributaryError('UNAVAILABLE', { detail: `${what} Resume.` })
