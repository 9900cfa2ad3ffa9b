import { Cooldown } from './cooldown.ts'

/**
 * How a job ended. `over`: trying the same work again is pointless for a while; otherwise it is taken up when the node
 * offers it again (a new epoch asks for an update that was accepted before).
 */
export type JobOutcome = 'done' | 'again' | 'over'

/** What a job is given while it runs. */
export type JobControl<Job> = {
  readonly signal: AbortSignal
  /** The newest offer of this very work: same job, maybe a newer token. */
  readonly latest: () => Job
  /** 0 … 1 */
  readonly onProgress: (progress: number) => void
}

export type JobSlotOptions<Job> = {
  readonly keyOf: (job: Job) => string
  /** Whether the work at hand is pointless once `offered` exists. */
  readonly isSupersededBy: (current: Job, offered: Job) => boolean
  /** Must not reject: what went wrong is its own to report. */
  readonly run: (job: Job, control: JobControl<Job>) => Promise<JobOutcome>
  /** After every start and end. */
  readonly onChange: (change: 'started' | 'ended') => void
}

type Running<Job> = { job: Job; progress: number; readonly controller: AbortController; readonly ended: Promise<void> }

/** Does one job at a time beside the check-ins. What does not fit now is offered again by the node, so nothing queues. */
export class JobSlot<Job> {
  readonly #options: JobSlotOptions<Job>
  readonly #cooldown = new Cooldown()
  #running: Running<Job> | undefined
  #stopped = false

  constructor(options: JobSlotOptions<Job>) {
    this.#options = options
  }

  get current(): { readonly job: Job; readonly progress: number } | undefined {
    return this.#running
  }

  /** Takes the work up, unless it is at hand already, was tried just now, or something else is at hand and still wanted. */
  async offer(job: Job): Promise<void> {
    const key = this.#options.keyOf(job)
    const running = this.#running
    if (running !== undefined && this.#options.keyOf(running.job) === key) {
      running.job = job
      return
    }
    if (!this.#cooldown.allows(key)) return
    if (running !== undefined) {
      if (!this.#options.isSupersededBy(running.job, job)) return
      await this.#cancel(running, 'newer work takes its place')
    }
    if (!this.#stopped && this.#running === undefined) this.#start(key, job)
  }

  /** Ends the job of this key, if it is the one at hand; resolves when it has ended. */
  async cancel(key: string, reason: string): Promise<void> {
    if (this.#running !== undefined && this.#options.keyOf(this.#running.job) === key)
      await this.#cancel(this.#running, reason)
  }

  /** Ends whatever is at hand and takes up nothing more. */
  async stop(reason: string): Promise<void> {
    this.#stopped = true
    if (this.#running !== undefined) await this.#cancel(this.#running, reason)
  }

  async #cancel(running: Running<Job>, reason: string): Promise<void> {
    running.controller.abort(new Error(reason))
    await running.ended
  }

  #start(key: string, job: Job): void {
    const controller = new AbortController()
    const { promise: ended, resolve } = Promise.withResolvers<void>()
    const running: Running<Job> = { job, progress: 0, controller, ended }
    this.#running = running
    this.#options.onChange('started')
    void this.#run(key, running).then(resolve)
  }

  async #run(key: string, running: Running<Job>): Promise<void> {
    let outcome: JobOutcome = 'over'
    try {
      outcome = await this.#options.run(running.job, {
        signal: running.controller.signal,
        latest: () => running.job,
        onProgress: progress => {
          running.progress = progress
        },
      })
    } finally {
      this.#cooldown.tried(key, outcome !== 'over')
      this.#running = undefined
      this.#options.onChange('ended')
    }
  }
}
