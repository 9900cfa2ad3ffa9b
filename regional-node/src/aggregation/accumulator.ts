import { rm } from 'node:fs/promises'
import type { SumTotals } from '@tributary/learning/exact-sum/shard-sum'
import type { MemorySum } from '../kernels/memory-sum.ts'
import type { Seal, SpooledBody, StoredFile, SumFile, WeightedBody } from '../kernels/spooled-body.ts'
import { MOST_SUMMED_FILES, type UpdateRound } from '../kernels/update-round.ts'
import type { Budget } from '../log/budget.ts'

/** A sum file that was written, and what it counts. */
export type WrittenSum = StoredFile & { readonly totals: SumTotals }

/** The running sum of a shard's accepted updates. */
export type Accumulator = Disposable & {
  /** Resolves once the update counts for every `write` that follows. */
  readonly add: (body: SpooledBody, weight: number) => Promise<void>
  /**
   * Writes the sum of all that was added to a new file, durably. The bodies may go once that is on record. Nothing may be added
   * meanwhile.
   */
  readonly write: (path: string, seal: Seal) => Promise<WrittenSum>
}

/**
 * Opens the running sum: in memory, or, where that has no room, as a file that is made anew from the one before and the bodies since.
 * @param from the newest sum file
 */
export const openAccumulator = async (
  round: UpdateRound,
  { sumMemory, spoolRoom }: { readonly sumMemory: Budget; readonly spoolRoom: Budget },
  from: SumFile | null,
): Promise<Accumulator> => {
  using held = new DisposableStack()
  const room = sumMemory.take(round.sumBytes)
  if (room === null) return new FileAccumulator(round, from, spoolRoom)
  held.use(room)
  const sum = held.use(await round.openSum())
  if (from !== null) await sum.restore(from)
  return new MemoryAccumulator(sum, held.move())
}

class MemoryAccumulator implements Accumulator {
  readonly #sum: MemorySum

  readonly #held: Disposable

  /** @param held what goes with the sum, and it itself */
  constructor(sum: MemorySum, held: Disposable) {
    this.#sum = sum
    this.#held = held
  }

  add(body: SpooledBody, weight: number): Promise<void> {
    return this.#sum.add(body, weight)
  }

  write(path: string, seal: Seal): Promise<WrittenSum> {
    return this.#sum.write(path, seal)
  }

  [Symbol.dispose](): void {
    this.#held[Symbol.dispose]()
  }
}

/** Constant memory, whatever the model's size: bodies wait in the spool until there is a file to write. */
class FileAccumulator implements Accumulator {
  readonly #round: UpdateRound
  #file: SumFile | null
  readonly #spoolRoom: Budget
  #waiting: WeightedBody[] = []

  constructor(round: UpdateRound, file: SumFile | null, spoolRoom: Budget) {
    this.#round = round
    this.#file = file
    this.#spoolRoom = spoolRoom
  }

  async add(body: SpooledBody, weight: number): Promise<void> {
    this.#waiting.push({ body, weight })
  }

  async write(path: string, seal: Seal): Promise<WrittenSum> {
    const updates = this.#waiting
    // A draft for each part but the last, of which two are there at a time.
    using drafts = new DisposableStack()
    if (updates.length > MOST_SUMMED_FILES) drafts.use(this.#spoolRoom.takeExisting(2 * this.#round.fileBytes))
    let draft: string | undefined
    try {
      for (let start = 0, from = this.#file; ; start += MOST_SUMMED_FILES) {
        const isLast = start + MOST_SUMMED_FILES >= updates.length
        const to = isLast ? path : `${path}.${start}.draft`
        const part = updates.slice(start, start + MOST_SUMMED_FILES)
        const { sha256, bytes, totals } = await this.#round.sumFiles({ from, to, toSeal: seal, updates: part })
        if (draft !== undefined) await rm(draft, { force: true })
        draft = isLast ? undefined : to
        from = { path: to, seal, totals, sha256 }
        if (!isLast) continue
        this.#file = from
        this.#waiting = this.#waiting.slice(updates.length)
        return { sha256, bytes, totals }
      }
    } finally {
      if (draft !== undefined) await rm(draft, { force: true })
    }
  }

  [Symbol.dispose](): void {}
}
