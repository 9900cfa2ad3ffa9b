import type { DataSet } from '../training/trainer.ts'

/** One to train on, one to evaluate on. */
const capacity = 2

/** Data sets that were read, as long as rounds follow each other; given back when idle. */
export class LoadedData {
  readonly #idleMillis: number
  readonly #entries = new Map<string, { readonly stamp: string; readonly data: DataSet }>()
  #timer: NodeJS.Timeout | undefined

  constructor(idleSeconds: number) {
    this.#idleMillis = idleSeconds * 1000
  }

  /** @param stamp must be the one of `put`: other files are other data */
  get(name: string, stamp: string): DataSet | undefined {
    const entry = this.#entries.get(name)
    if (entry?.stamp !== stamp) return undefined
    this.#used()
    return entry.data
  }

  put(name: string, stamp: string, data: DataSet): DataSet {
    this.#entries.delete(name)
    this.#entries.set(name, { stamp, data })
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= capacity) break
      this.#entries.delete(oldest)
    }
    this.#used()
    return data
  }

  #used(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#entries.clear(), this.#idleMillis).unref()
  }
}
