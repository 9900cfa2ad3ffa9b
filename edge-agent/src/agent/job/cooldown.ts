/** Most kinds of work remembered. */
const capacity = 64
const mostMillis = 30_000

/**
 * Keeps work that ended badly from being taken up in a hot loop: a first retry at once, then after 0.5, 1, 2 … 30 s; work
 * that is over for good rests 30 s, should a node offer it still.
 */
export class Cooldown {
  readonly #tries = new Map<string, { failures: number; notBefore: number }>()
  readonly #now: () => number

  /** @param now monotonic, ms */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  allows(key: string): boolean {
    return this.#now() >= (this.#tries.get(key)?.notBefore ?? 0)
  }

  /** @param again whether another try is wanted */
  tried(key: string, again: boolean): void {
    const failures = (this.#tries.get(key)?.failures ?? 0) + 1
    const millis = again ? (failures === 1 ? 0 : Math.min(mostMillis, 250 * 2 ** (failures - 1))) : mostMillis
    this.#tries.delete(key)
    this.#tries.set(key, { failures, notBefore: this.#now() + millis })
    for (const oldest of this.#tries.keys()) {
      if (this.#tries.size <= capacity) break
      this.#tries.delete(oldest)
    }
  }
}
