import { allocateKernelMemory } from '@tributary/learning/kernels/kernel-memory'
import type { KernelMemory } from '@tributary/learning/kernels/web-assembly'
import { backoffMillis } from '../clock.ts'
import type { Job, JobKind, JobOutcome, Jobs, RoundDefinition } from './jobs.ts'
import { UpdateWorkersError } from './update-workers-error.ts'
import { ThreadLostError, WorkerThread } from './worker-thread.ts'

const mostTries = 3
/** Most checks that a thread is given at a time, and most bytes of them: it is woken once for all of them. */
const mostTogether = 32
const mostBytesTogether = 4 * 1024 * 1024
/** So many threads in a row that end before they did anything. */
const mostFailedStarts = 5

/** Beside this file in the source, and as a bundle of its own beside the main bundle. */
const workerUrl = new URL(
  import.meta.url.endsWith('.ts') ? './update-worker.ts' : './update-worker.mjs',
  import.meta.url,
)

/** Jobs of one owner run one after the other, in the order they came. */
export type JobOwner = { running: boolean }

export type JobRound = { readonly id: number; readonly definition: RoundDefinition }

export type JobOptions = {
  readonly round: JobRound
  /** The sum that the job works on. */
  readonly owner?: JobOwner
  /** Called when the job first begins; what it throws is how the job fails. */
  readonly onStart?: () => void
  /** Called once when the job ends, before the next one of its owner begins. */
  readonly onDone?: () => void
  readonly onFailed?: (error: unknown) => void
  /** Whether a job whose thread was lost may be begun again by another one. */
  readonly mayRetry?: () => boolean
  readonly signal?: AbortSignal | undefined
  /** Before all others: what was let in already, and goes on. */
  readonly first?: boolean
}

type Queued = JobOptions & {
  readonly id: number
  readonly job: Job
  readonly resolve: (result: Jobs[JobKind]['result']) => void
  readonly reject: (error: unknown) => void
  tries: number
  /** A thread was lost over it and others: nobody knows over which. */
  alone: boolean
  thread?: WorkerThread
  /** Set once nobody wants the job. */
  abandoned?: { readonly reason: unknown }
}

export type WorkerPoolOptions = {
  /** Threads that work at a time. */
  readonly threads: number
  /** Jobs that may wait; more are refused. */
  readonly mostQueued?: number
  /** How long a thread may take for a slice before its job fails. */
  readonly stallMillis?: number
  /** Closes the workers when aborted. */
  readonly signal?: AbortSignal
  /** What the threads run. */
  readonly url?: URL
}

/**
 * Threads and the jobs that wait for them. Jobs on sums come before checks: their updates are promised already. A thread that is
 * lost is replaced and its job begun again by another one, a few times.
 */
export class WorkerPool implements AsyncDisposable {
  readonly #threadCount: number
  readonly #mostQueued: number
  readonly #stallMillis: number
  readonly #url: URL
  readonly #signal: AbortSignal | undefined
  readonly #threads = new Set<WorkerThread>()
  readonly #closing = new Set<Promise<void>>()
  /** Jobs on sums, and checks. */
  readonly #queues = { sums: [] as Queued[], checks: [] as Queued[] }
  readonly #running = new Set<Queued>()
  readonly #onAbort = () => void this[Symbol.asyncDispose]()
  #closed = false
  #ids = 0
  #failedStarts = 0
  #restart: NodeJS.Timeout | undefined
  #isPumping = false
  /** The memory of the last sum that was closed; the next attempt has mostly the same model. */
  #spare: KernelMemory | undefined

  constructor({ threads, mostQueued = 1024, stallMillis = 30_000, signal, url = workerUrl }: WorkerPoolOptions) {
    this.#threadCount = threads
    this.#mostQueued = mostQueued
    this.#stallMillis = stallMillis
    this.#url = url
    this.#signal = signal
    signal?.throwIfAborted()
    signal?.addEventListener('abort', this.#onAbort, { once: true })
    this.#fill()
  }

  /** Jobs that wait. */
  get queued(): number {
    return this.#queues.sums.length + this.#queues.checks.length
  }

  /** Another number at each call. */
  nextId(): number {
    this.#ids = (this.#ids % 0x7fff_ffff) + 1
    return this.#ids
  }

  /**
   * Runs a job on one of the threads.
   * @throws UpdateWorkersError, and the signal's reason where that was aborted
   */
  async run<Kind extends JobKind>(
    job: { kind: Kind } & Jobs[Kind]['job'],
    options: JobOptions,
  ): Promise<Jobs[Kind]['result']> {
    options.signal?.throwIfAborted()
    if (this.#closed) throw closedError()
    // What idle threads are given does not wait.
    if (this.queued >= this.#mostQueued + this.#idle().length && options.first !== true) {
      throw new UpdateWorkersError('QUEUE_FULL', `${this.#mostQueued} jobs wait already`)
    }
    const { promise, resolve, reject } = Promise.withResolvers<Jobs[JobKind]['result']>()
    const queued: Queued = {
      ...options,
      id: this.nextId(),
      job: job as Job,
      tries: 0,
      alone: false,
      resolve: result => {
        options.onDone?.()
        resolve(result)
      },
      reject: error => {
        options.onFailed?.(error)
        reject(error)
      },
    }
    const onAbort = () => this.#abandon(queued, options.signal?.reason)
    options.signal?.addEventListener('abort', onAbort, { once: true })
    try {
      const queue = this.#queueOf(queued)
      if (options.first === true) queue.unshift(queued)
      else queue.push(queued)
      this.#pumpSoon()
      return (await promise) as Jobs[Kind]['result']
    } finally {
      options.signal?.removeEventListener('abort', onAbort)
    }
  }

  /** Ends all jobs of a round or of an owner. */
  abandon(which: JobRound | JobOwner): void {
    const isMeant = ({ round, owner }: Queued) => round === which || owner === which
    const { sums, checks } = this.#queues
    for (const queued of [...sums, ...checks, ...this.#running].filter(isMeant)) this.#abandon(queued, closedError())
  }

  forgetRound(round: number): void {
    for (const thread of this.#threads) thread.forgetRound(round)
  }

  forgetSum(sum: number): void {
    for (const thread of this.#threads) thread.forgetSum(sum)
  }

  /** Memory for a sum, with whatever was in it before. */
  takeMemory(bytes: number): KernelMemory {
    const fresh = this.#spare
    this.#spare = undefined
    // Not one that is much larger: what it once held takes RAM.
    return fresh !== undefined && fresh.buffer.byteLength >= bytes && fresh.buffer.byteLength <= 2 * bytes
      ? fresh
      : allocateKernelMemory(bytes)
  }

  giveMemory(memory: KernelMemory): void {
    this.#spare = memory
  }

  /** Ends jobs and threads; waits a bounded time for them. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#closed) {
      this.#closed = true
      this.#signal?.removeEventListener('abort', this.#onAbort)
      clearTimeout(this.#restart)
      const { sums, checks } = this.#queues
      for (const queued of [...sums, ...checks, ...this.#running]) this.#abandon(queued, closedError())
      for (const thread of this.#threads) this.#close(thread)
    }
    await Promise.all(this.#closing)
  }

  #queueOf({ owner }: Queued): Queued[] {
    return owner === undefined ? this.#queues.checks : this.#queues.sums
  }

  #abandon(queued: Queued, reason: unknown): void {
    if (queued.abandoned !== undefined) return
    queued.abandoned = { reason }
    if (queued.thread !== undefined) {
      queued.thread.cancel(queued.id)
      return
    }
    const queue = this.#queueOf(queued)
    const index = queue.indexOf(queued)
    if (index >= 0) queue.splice(index, 1)
    queued.reject(reason)
  }

  /** Not at once: what comes in the same moment goes together, and jobs that fail as they begin do not nest. */
  #pumpSoon(): void {
    if (this.#isPumping) return
    this.#isPumping = true
    process.nextTick(() => {
      this.#isPumping = false
      this.#pump()
    })
  }

  /** Gives waiting jobs to idle threads. */
  #pump(): void {
    const idle = this.#idle()
    for (const [i, thread] of idle.entries()) {
      const jobs = this.#take(idle.length - i)
      if (jobs.length === 0) return
      void this.#start(thread, jobs)
    }
  }

  #idle(): readonly WorkerThread[] {
    return [...this.#threads].filter(({ idle }) => idle)
  }

  /** The next job on a sum, or a share of the checks for one of so many idle threads. */
  #take(idle: number): readonly Queued[] {
    const { sums, checks } = this.#queues
    const index = sums.findIndex(({ owner }) => owner?.running !== true)
    if (index >= 0) return sums.splice(index, 1)
    const most = Math.min(mostTogether, Math.ceil(checks.length / idle))
    const [first] = checks
    let count = 0
    let bytes = 0
    for (const { round, alone, job } of checks) {
      bytes += job.kind === 'check' ? job.body.bytes : 0
      const isMore = alone || first?.alone || round !== first?.round || bytes > mostBytesTogether
      if (count > 0 && (count === most || isMore)) break
      count += 1
    }
    return checks.splice(0, count)
  }

  /** @param group of one round; one job at least, and one only where it has an owner */
  async #start(thread: WorkerThread, group: readonly Queued[]): Promise<void> {
    const [{ round, owner }] = group as [Queued]
    if (owner !== undefined) owner.running = true
    for (const queued of group) {
      queued.thread = thread
      queued.tries += 1
      this.#running.add(queued)
    }
    try {
      for (const { tries, onStart } of group) if (tries === 1) onStart?.()
      const jobs = group.map(({ id, job }) => ({ id, job }))
      const outcomes = await thread.run(jobs, round, this.#stallMillis)
      this.#failedStarts = 0
      for (const [i, queued] of group.entries()) settle(queued, outcomes[i] as JobOutcome)
    } catch (error) {
      // The last to be queued again comes first.
      for (const queued of group.toReversed()) this.#afterLoss(queued, group.length > 1, error)
    } finally {
      for (const queued of group) {
        delete queued.thread
        this.#running.delete(queued)
      }
      if (owner !== undefined) owner.running = false
      this.#pumpSoon()
    }
  }

  #afterLoss(queued: Queued, isOfMany: boolean, error: unknown): void {
    const { abandoned, tries, reject } = queued
    if (isOfMany) queued.alone = true
    // A thread that was given up may still come back: its owner has to know, whether it waits or not.
    if (!(error instanceof ThreadLostError) && !isOfMany) reject(error)
    else if (abandoned !== undefined) reject(abandoned.reason)
    else if (tries < mostTries && queued.mayRetry?.() !== false) this.#queueOf(queued).unshift(queued)
    else reject(new UpdateWorkersError('WORKER_LOST', `${tries} threads were lost over a job`, { cause: error }))
  }

  /** Starts what is missing of the threads. */
  #fill(): void {
    while (!this.#closed && this.#threads.size < this.#threadCount) {
      const thread: WorkerThread = new WorkerThread(this.#url, () => this.#onEnd(thread))
      this.#threads.add(thread)
    }
    this.#pump()
  }

  #onEnd(thread: WorkerThread): void {
    if (!this.#threads.delete(thread) || this.#closed) return
    this.#close(thread)
    this.#failedStarts += 1
    if (this.#failedStarts >= mostFailedStarts) {
      const error = new UpdateWorkersError('WORKER_LOST', `${this.#failedStarts} threads ended one after the other`)
      for (const queue of Object.values(this.#queues)) for (const queued of queue.splice(0)) queued.reject(error)
    }
    clearTimeout(this.#restart)
    const wait = this.#failedStarts === 1 ? 0 : backoffMillis(this.#failedStarts - 2, 50, 5000)
    this.#restart = setTimeout(() => this.#fill(), wait)
  }

  #close(thread: WorkerThread): void {
    const closed = thread.close().finally(() => this.#closing.delete(closed))
    this.#closing.add(closed)
  }
}

function settle({ abandoned, owner, resolve, reject }: Queued, outcome: JobOutcome): void {
  // What was done to a sum is done; a verdict that nobody waits for is none.
  if (outcome.kind === 'done' && (abandoned === undefined || owner !== undefined)) resolve(outcome.result)
  else if (outcome.kind === 'fileFailed') reject(new UpdateWorkersError('FILE_FAILED', outcome.detail, outcome))
  else if (outcome.kind === 'failed') reject(outcome.error)
  else reject(abandoned?.reason ?? closedError())
}

function closedError(): UpdateWorkersError {
  return new UpdateWorkersError('CLOSED', 'the work was closed before the job was done')
}
