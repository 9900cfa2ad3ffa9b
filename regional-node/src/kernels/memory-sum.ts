import { countUpdate } from '@tributary/learning/exact-sum/count-update'
import type { SumTotals } from '@tributary/learning/exact-sum/shard-sum'
import { ADDING_WORD, type JobKind, type Jobs, SLICES_ADDED_WORD, type SumMemory } from './jobs.ts'
import { PROGRESS_ADDRESS, type RoundPlan, slicesOfUpdate } from './round-plan.ts'
import type { Seal, SpooledBody, StoredFile, SumFile, WeightedBody } from './spooled-body.ts'
import { UpdateWorkersError } from './update-workers-error.ts'
import type { JobOptions, JobOwner, JobRound, WorkerPool } from './worker-pool.ts'

/** Most updates of one job, and most bytes of them: a thread is woken once for all of them. */
const mostTogether = 32
const mostBytesTogether = 4 * 1024 * 1024

type Addition = {
  readonly update: WeightedBody
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * An exact shard sum in memory that threads share, worked on by one of them at a time. An addition that lost its thread is gone on
 * with by another one, from the slice where it was: an update is in the sum whole and once, or the sum says that it is spoilt.
 */
export class MemorySum implements Disposable {
  readonly #pool: WorkerPool
  readonly #round: JobRound
  readonly #plan: RoundPlan
  readonly #onClose: () => void
  readonly #memory: SumMemory
  readonly #progress: Int32Array
  readonly #owner: JobOwner = { running: false }
  /** Additions of a job that has not begun. */
  #open: Addition[] | undefined
  /** Jobs that did not end. */
  readonly #pending = new Set<Promise<unknown>>()
  #totals: SumTotals = { updates: 0, weight: 0n }
  /** With those that are being added. */
  #claimed: SumTotals = this.#totals
  #spoilt: Error | undefined
  #closed = false
  /** A thread was given up that may still write. */
  #haunted = false

  /**
   * @param onClose called when the sum is closed
   * @throws RangeError when the sum is larger than a memory can be
   */
  constructor(pool: WorkerPool, round: JobRound, plan: RoundPlan, onClose: () => void) {
    this.#pool = pool
    this.#round = round
    this.#plan = plan
    this.#onClose = onClose
    this.#memory = { id: pool.nextId(), memory: pool.takeMemory(plan.memoryBytes) }
    this.#progress = new Int32Array(this.#memory.memory.buffer, PROGRESS_ADDRESS, 2)
  }

  /** Of the updates that are in the sum. */
  get totals(): SumTotals {
    return this.#totals
  }

  /** Size of the file that `write` writes. */
  get fileBytes(): number {
    return this.#plan.layout.fileBytes
  }

  /** Makes the sum zero; its opener has done so. */
  async clear(): Promise<void> {
    await this.#run({ kind: 'clear', sum: this.#memory })
  }

  /**
   * Reads a sum that was written before any update is added to this one.
   * @throws UpdateWorkersError FILE_FAILED also where the file was not made for this manifest, or has another sha256: the sum is spoilt
   */
  async restore({ path, totals, seal, sha256 }: SumFile): Promise<void> {
    if (this.#claimed.updates > 0) throw new RangeError('only an empty sum can be restored')
    this.#claimed = totals
    const from = { path, ...(seal && { seal }), ...(sha256 !== undefined && { sha256 }) }
    const hooks = {
      onDone: () => {
        this.#totals = totals
      },
      onFailed: (error: unknown) => this.#spoil(error),
    }
    await this.#run({ kind: 'restore', sum: this.#memory, from }, hooks)
  }

  /**
   * Adds an update that passed its check; resolves when it is in the sum.
   * @throws SumError SUM_WOULD_OVERFLOW, and nothing is added
   * @throws UpdateWorkersError QUEUE_FULL, CLOSED, and nothing is added; SUM_SPOILT; FILE_FAILED, DEADLINE, WORKER_LOST: nothing is
   *   added where the sum is not `spoilt`
   */
  async add(body: SpooledBody, weight: number): Promise<void> {
    this.#claimed = countUpdate(this.#claimed, weight, this.#plan.rule)
    try {
      this.#refuseClosed()
      this.#refuseSpoilt()
      await this.#enqueue({ body, weight })
    } catch (error) {
      const { updates, weight: total } = this.#claimed
      this.#claimed = { updates: updates - 1, weight: total - BigInt(weight) }
      throw error
    }
  }

  /** Whether an update is in the sum in part, so that the sum has to be made anew. */
  get spoilt(): boolean {
    return this.#spoilt !== undefined
  }

  /**
   * Writes the shard-sum file, durably, with all updates whose addition was asked for before, and none of those after.
   * @param seal how the file is sealed; sha256 and size are those before that
   * @throws UpdateWorkersError
   */
  async write(path: string, seal?: Seal): Promise<StoredFile & { totals: SumTotals }> {
    let totals = this.#totals
    const onStart = () => {
      totals = this.#totals
    }
    const to = { path, ...(seal && { seal }) }
    // What is added from now on is not in the file.
    this.#open = undefined
    const stored = await this.#run({ kind: 'write', sum: this.#memory, to }, { onStart })
    return { ...stored, totals }
  }

  /** Ends what runs and gives the memory back. */
  [Symbol.dispose](): void {
    if (this.#closed) return
    this.#closed = true
    this.#onClose()
    this.#pool.abandon(this.#owner)
    void Promise.allSettled(this.#pending).then(() => {
      this.#pool.forgetSum(this.#memory.id)
      if (!this.#haunted) this.#pool.giveMemory(this.#memory.memory)
    })
  }

  /** Additions that wait share a job. */
  #enqueue(update: WeightedBody): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const addition = { update, resolve, reject }
    const bytes = this.#open?.reduce((sum, { update: { body } }) => sum + body.bytes, update.body.bytes) ?? 0
    if (this.#open !== undefined && this.#open.length < mostTogether && bytes <= mostBytesTogether) {
      this.#open.push(addition)
    } else {
      this.#open = [addition]
      this.#submit(this.#open)
    }
    return promise
  }

  /**
   * @param additions others may come to it until the job begins
   * @param slices of the first that are in the sum already
   */
  #submit(additions: Addition[], { slices = 0, first = false } = {}): void {
    const updates: WeightedBody[] = []
    const hooks = {
      onStart: () => {
        if (this.#open === additions) this.#open = undefined
        updates.push(...additions.map(({ update }) => update))
        this.#progress.set([slices, 0])
      },
      // A thread that is lost over several is lost over one of them: that one is gone on with by itself.
      mayRetry: () => updates.length === 1 && !this.#isTorn,
      onDone: () => this.#added(additions.splice(0)),
      onFailed: (error: unknown) => {
        if (updates.length > 0) this.#failed(additions, error)
      },
    }
    this.#run({ kind: 'add', sum: this.#memory, updates }, { ...hooks, first }).catch((error: unknown) => {
      if (this.#open === additions) this.#open = undefined
      for (const { reject } of additions.splice(0)) reject(error)
    })
  }

  #added(additions: readonly Addition[]): void {
    for (const { update, resolve } of additions) {
      this.#totals = countUpdate(this.#totals, update.weight, this.#plan.rule)
      resolve()
    }
  }

  /** Some of the additions are in the sum, one failed, the rest has not begun. */
  #failed(additions: Addition[], error: unknown): void {
    const each = slicesOfUpdate(this.#plan)
    const slices = Atomics.load(this.#progress, SLICES_ADDED_WORD)
    const isMany = additions.length > 1
    const done = each === 0 ? 0 : Math.min(additions.length, Math.floor(slices / each))
    this.#added(additions.splice(0, done))
    const current = additions.shift()
    if (current === undefined) return
    const isLost = error instanceof UpdateWorkersError && error.code === 'WORKER_LOST'
    const isGoneOnWith = isLost && isMany && !this.#isTorn
    if (!isGoneOnWith && (this.#isTorn || isDeadline(error) || slices > done * each)) this.#spoil(error)
    const rest = additions.splice(0)
    // The last to be submitted comes first.
    if (rest.length > 0 && this.#spoilt === undefined) this.#submit(rest, { first: true })
    else for (const { reject } of rest) reject(this.#spoilt)
    if (isGoneOnWith) this.#submit([current], { slices: slices - done * each, first: true })
    else current.reject(error)
  }

  get #isTorn(): boolean {
    return Atomics.load(this.#progress, ADDING_WORD) !== 0
  }

  #spoil(cause: unknown): void {
    this.#spoilt ??= new UpdateWorkersError('SUM_SPOILT', 'the sum holds a part of an update: make it anew', { cause })
  }

  #refuseSpoilt(): void {
    if (this.#spoilt !== undefined) throw this.#spoilt
  }

  #refuseClosed(): void {
    if (this.#closed) throw new UpdateWorkersError('CLOSED', 'the sum is closed')
  }

  async #run<Kind extends JobKind>(
    job: { kind: Kind } & Jobs[Kind]['job'],
    hooks: Pick<JobOptions, 'onStart' | 'onDone' | 'onFailed' | 'mayRetry' | 'first'> = {},
  ): Promise<Jobs[Kind]['result']> {
    this.#refuseClosed()
    this.#refuseSpoilt()
    const onStart = () => {
      this.#refuseSpoilt()
      hooks.onStart?.()
    }
    const running = this.#pool.run(job, { ...hooks, onStart, round: this.#round, owner: this.#owner })
    this.#pending.add(running)
    try {
      return await running
    } catch (error) {
      if (isDeadline(error)) this.#haunted = true
      throw error
    } finally {
      this.#pending.delete(running)
    }
  }
}

function isDeadline(error: unknown): boolean {
  return error instanceof UpdateWorkersError && error.code === 'DEADLINE'
}
