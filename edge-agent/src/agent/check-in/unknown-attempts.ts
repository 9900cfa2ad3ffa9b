/** A node that has just started, or just taken a shard over, may not have opened its attempts yet, ms. */
const graceMillis = 5_000

/** Tells attempts that a node has really forgotten from those that it does not know yet: only the former are given up. */
export class UnknownAttempts {
  readonly #since = new Map<string, number>()
  readonly #now: () => number

  /** @param now monotonic, ms */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** @param unknown keys that the node called unknown in its newest answer. @returns those that it has called so for long */
  given(unknown: ReadonlySet<string>): string[] {
    for (const key of this.#since.keys()) if (!unknown.has(key)) this.#since.delete(key)
    for (const key of unknown) if (!this.#since.has(key)) this.#since.set(key, this.#now())
    return [...this.#since].filter(([, since]) => this.#now() - since >= graceMillis).map(([key]) => key)
  }
}
