import { setTimeout as delay } from 'node:timers/promises'

/** Waits between tries, doubling from `firstMillis` to `mostMillis`, each drawn from its upper half, so that a fleet does not come back at once. */
export class Backoff {
  readonly #firstMillis: number
  readonly #mostMillis: number
  #failures = 0

  constructor(firstMillis = 250, mostMillis = 5_000) {
    this.#firstMillis = firstMillis
    this.#mostMillis = mostMillis
  }

  reset(): void {
    this.#failures = 0
  }

  /** The next wait, ms. */
  next(): number {
    const ceiling = Math.min(this.#mostMillis, this.#firstMillis * 2 ** this.#failures)
    this.#failures = Math.min(this.#failures + 1, 30)
    return ceiling / 2 + (Math.random() * ceiling) / 2
  }

  /** Waits; rejects when the signal aborts. */
  async wait(signal: AbortSignal): Promise<void> {
    await delay(this.next(), undefined, { signal })
  }
}
