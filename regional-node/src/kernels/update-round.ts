import { countUpdate } from '@tributary/learning/exact-sum/count-update'
import type { SumTotals } from '@tributary/learning/exact-sum/shard-sum'
import type { RoundDefinition } from './jobs.ts'
import { MemorySum } from './memory-sum.ts'
import { planRound, type RoundPlan } from './round-plan.ts'
import type { Seal, SpooledBody, StoredFile, SumFile, UpdateVerdict, WeightedBody } from './spooled-body.ts'
import type { JobRound, WorkerPool } from './worker-pool.ts'

/** Files that are open at a time for one sum. */
export const MOST_SUMMED_FILES = 64

/** What the workers do for one attempt. Closing it ends its jobs and its sums. */
export class UpdateRound implements Disposable {
  readonly #pool: WorkerPool
  readonly #job: JobRound
  readonly #plan: RoundPlan
  readonly #sums = new Set<MemorySum>()

  /** @throws SumError SUM_WOULD_OVERFLOW */
  constructor(pool: WorkerPool, definition: RoundDefinition) {
    this.#pool = pool
    this.#plan = planRound(definition.manifest, definition.rule)
    this.#job = { id: pool.nextId(), definition }
  }

  /** Bytes of memory that a sum in memory takes. */
  get sumBytes(): number {
    return this.#plan.memoryBytes
  }

  /** Size of a shard-sum file. */
  get fileBytes(): number {
    return this.#plan.layout.fileBytes
  }

  /**
   * Checks an update: length, sha256, names, dtypes, shapes, finite values, range, norm, in one pass over the file.
   * @param sha256 of the body, lower-case hex; null where it is known to be right
   * @throws UpdateWorkersError QUEUE_FULL, DEADLINE, WORKER_LOST, FILE_FAILED, CLOSED; the signal's reason
   */
  check(
    body: SpooledBody,
    { sha256, signal }: { sha256: string | null; signal?: AbortSignal },
  ): Promise<UpdateVerdict> {
    return this.#pool.run({ kind: 'check', body, sha256 }, { round: this.#job, signal })
  }

  /**
   * An empty sum in memory.
   * @throws RangeError when it is larger than a memory can be
   * @throws UpdateWorkersError
   */
  async openSum(): Promise<MemorySum> {
    const sum = new MemorySum(this.#pool, this.#job, this.#plan, () => this.#sums.delete(sum))
    this.#sums.add(sum)
    try {
      await sum.clear()
      return sum
    } catch (error) {
      sum[Symbol.dispose]()
      throw error
    }
  }

  /**
   * Writes `to` = `from` + Σ updates that passed their check, durably and slice by slice: memory grows neither with the model nor
   * with the updates. `from` is left as it is; what is at `to` after a failure is worth nothing.
   * @param from null for an empty sum
   * @param updates MOST_SUMMED_FILES at most
   * @returns sha256 and size before sealing, and what the file counts
   * @throws SumError SUM_WOULD_OVERFLOW, before anything is done
   * @throws UpdateWorkersError; the signal's reason
   */
  async sumFiles({
    from,
    to,
    toSeal,
    updates,
    signal,
  }: {
    from: SumFile | null
    to: string
    toSeal?: Seal
    updates: readonly WeightedBody[]
    signal?: AbortSignal
  }): Promise<StoredFile & { totals: SumTotals }> {
    if (updates.length > MOST_SUMMED_FILES) {
      throw new RangeError(`${updates.length} updates at a time: at most ${MOST_SUMMED_FILES}`)
    }
    let totals = from?.totals ?? { updates: 0, weight: 0n }
    for (const { weight } of updates) totals = countUpdate(totals, weight, this.#plan.rule)
    const job = {
      kind: 'sumFiles',
      from: from && {
        path: from.path,
        ...(from.seal && { seal: from.seal }),
        ...(from.sha256 === undefined ? {} : { sha256: from.sha256 }),
      },
      to: { path: to, ...(toSeal && { seal: toSeal }) },
      updates,
    } as const
    const stored = await this.#pool.run(job, { round: this.#job, owner: { running: false }, signal })
    return { ...stored, totals }
  }

  [Symbol.dispose](): void {
    for (const sum of this.#sums) sum[Symbol.dispose]()
    this.#pool.abandon(this.#job)
    this.#pool.forgetRound(this.#job.id)
  }
}
