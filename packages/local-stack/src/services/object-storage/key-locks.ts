/** Runs the changes of one key one after another. */
export class KeyLocks {
  readonly #last = new Map<string, Promise<unknown>>()

  async run<Result>(key: string, change: () => Promise<Result>): Promise<Result> {
    const before = this.#last.get(key) ?? Promise.resolve()
    const result = before.then(change, change)
    const settled = result.catch(() => undefined)
    this.#last.set(key, settled)
    try {
      return await result
    } finally {
      if (this.#last.get(key) === settled) this.#last.delete(key)
    }
  }
}
