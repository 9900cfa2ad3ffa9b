import { rm } from 'node:fs/promises'
import type { FileRange } from '../log/sealed-file.ts'
import type { LiveSum, SealedPath, SumFile, SumTotals, UpdateRound, WeightedBody, WrittenFile } from './update-round.ts'

/** The running sum of a shard's accepted updates. */
export type Accumulator = Disposable & {
  /** Resolves once the update counts for every `write` that follows. */
  readonly add: (body: FileRange, weight: number) => Promise<void>
  /**
   * Writes the sum of all that was added to a new file, durably. The bodies may go once that is on record. Nothing may be added
   * meanwhile.
   */
  readonly write: (to: SealedPath) => Promise<WrittenFile & { readonly totals: SumTotals }>
}

/** Updates that one pass over a sum takes along. */
const updatesAtOnce = 64

/**
 * Opens the running sum: in memory, or, where that would take more than `memoryBytes`, as a file that is made anew from the one before
 * and the bodies since.
 * @param from the newest sum file
 */
export const openAccumulator = async (
  round: UpdateRound,
  memoryBytes: number,
  from: SumFile | null,
): Promise<Accumulator> => {
  if (round.sumBytes > memoryBytes) return new FileAccumulator(round, from)
  const sum = await round.openSum()
  try {
    if (from !== null) await sum.restore(from)
    return new MemoryAccumulator(sum)
  } catch (error) {
    sum[Symbol.dispose]()
    throw error
  }
}

class MemoryAccumulator implements Accumulator {
  readonly #sum: LiveSum

  constructor(sum: LiveSum) {
    this.#sum = sum
  }

  add(body: FileRange, weight: number): Promise<void> {
    return this.#sum.add(body, weight)
  }

  async write(to: SealedPath): Promise<WrittenFile & { totals: SumTotals }> {
    return { ...(await this.#sum.write(to)), totals: this.#sum.totals }
  }

  [Symbol.dispose](): void {
    this.#sum[Symbol.dispose]()
  }
}

/** Constant memory, whatever the model's size: bodies wait in the spool until there is a file to write. */
class FileAccumulator implements Accumulator {
  readonly #round: UpdateRound
  #file: SumFile | null
  #waiting: WeightedBody[] = []

  constructor(round: UpdateRound, file: SumFile | null) {
    this.#round = round
    this.#file = file
  }

  async add(body: FileRange, weight: number): Promise<void> {
    this.#waiting.push({ body, weight })
  }

  async write(to: SealedPath): Promise<WrittenFile & { totals: SumTotals }> {
    const updates = this.#waiting
    const drafts: string[] = []
    try {
      for (let start = 0, from = this.#file; ; start += updatesAtOnce) {
        const isLast = start + updatesAtOnce >= updates.length
        const next = isLast ? to : { ...to, path: `${to.path}.${start}.draft` }
        if (!isLast) drafts.push(next.path)
        const part = updates.slice(start, start + updatesAtOnce)
        const written = await this.#round.sumFiles({ from, to: next, updates: part })
        from = { ...next, totals: written.totals }
        if (!isLast) continue
        this.#file = from
        this.#waiting = this.#waiting.slice(updates.length)
        return written
      }
    } finally {
      for (const draft of drafts) await rm(draft, { force: true })
    }
  }

  [Symbol.dispose](): void {}
}
