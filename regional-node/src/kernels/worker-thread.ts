import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import {
  CANCEL_ALL,
  CANCEL_WORD,
  CONTROL_BYTES,
  HEARTBEAT_WORD,
  type JobOutcome,
  type NumberedJob,
  type RoundDefinition,
  type WorkerAnswer,
  type WorkerRequest,
  type WorkerStart,
} from './jobs.ts'
import { UpdateWorkersError } from './update-workers-error.ts'

/** How long a thread may take to end by itself. */
const endMillis = 1000
/** How long it may take to start, on a machine that is busy. */
const startMillis = 30_000
const heapMegabytes = 128

/** The thread ended while it worked. */
export class ThreadLostError extends Error {
  override readonly name = 'ThreadLostError'
}

type Running = {
  readonly id: number
  readonly resolve: (outcomes: readonly JobOutcome[]) => void
  readonly reject: (error: Error) => void
}

/** A thread as its owner sees it: a few jobs at a time, given up when it stands still. */
export class WorkerThread {
  readonly #worker: Worker
  readonly #control = new Int32Array(new SharedArrayBuffer(CONTROL_BYTES))
  readonly #rounds = new Set<number>()
  readonly #ended: Promise<void>
  #running: Running | undefined
  #open = true

  /** @param onEnd called once, when the thread takes no more jobs */
  constructor(url: URL, onEnd: () => void) {
    this.#worker = new Worker(url, {
      name: 'updates',
      workerData: { control: this.#control.buffer as SharedArrayBuffer } satisfies WorkerStart,
      resourceLimits: { maxOldGenerationSizeMb: heapMegabytes },
    })
    // Only a running job keeps the process alive.
    this.#worker.unref()
    this.#worker.on('message', ({ id, outcomes }: WorkerAnswer) => {
      if (this.#running?.id === id) this.#running.resolve(outcomes)
    })
    let cause: unknown
    this.#worker.on('error', error => {
      cause = error
    })
    this.#ended = new Promise(resolve => {
      this.#worker.on('exit', code => {
        this.#end(new ThreadLostError(`the thread ended with code ${code}`, { cause }), onEnd)
        resolve()
      })
    })
    this.#stop = error => this.#end(error, onEnd)
  }

  readonly #stop: (error: Error) => void

  get idle(): boolean {
    return this.#open && this.#running === undefined
  }

  /**
   * Runs jobs, one after the other. Rejects with ThreadLostError when the thread ends meanwhile, and with UpdateWorkersError DEADLINE
   * when it does nothing for so long: the thread is then given up.
   * @param jobs one at least
   * @param stallMillis how long a slice may take
   * @returns the outcome of each
   */
  async run(
    jobs: readonly NumberedJob[],
    round: { readonly id: number; readonly definition: RoundDefinition },
    stallMillis: number,
  ): Promise<readonly JobOutcome[]> {
    const { promise, resolve, reject } = Promise.withResolvers<readonly JobOutcome[]>()
    this.#running = { id: jobs[0]?.id ?? 0, resolve, reject }
    this.#worker.ref()
    let heartbeat = Atomics.load(this.#control, HEARTBEAT_WORD)
    const startBy = performance.now() + startMillis
    const watch = setInterval(() => {
      const now = Atomics.load(this.#control, HEARTBEAT_WORD)
      const isStarting = now === 0 && performance.now() < startBy
      if (now === heartbeat && !isStarting) this.#giveUp(stallMillis)
      heartbeat = now
    }, stallMillis)
    try {
      const definition = this.#rounds.has(round.id) ? undefined : round.definition
      this.#rounds.add(round.id)
      this.#post({ kind: 'jobs', round: round.id, definition, jobs })
      return await promise
    } finally {
      clearInterval(watch)
      this.#running = undefined
      this.#worker.unref()
    }
  }

  /** The job ends at its next slice. */
  cancel(id: number): void {
    Atomics.store(this.#control, CANCEL_WORD, id)
  }

  forgetRound(round: number): void {
    if (this.#rounds.delete(round)) this.#post({ kind: 'forgetRound', round })
  }

  forgetSum(sum: number): void {
    this.#post({ kind: 'forgetSum', sum })
  }

  /** Ends the thread after the slice that it works on; waits a bounded time. */
  async close(): Promise<void> {
    this.#worker.ref()
    this.cancel(CANCEL_ALL)
    this.#post({ kind: 'close' })
    if (await this.#endsWithin(endMillis)) return
    // A thread that hangs in a read ends when that returns, if ever.
    void this.#worker.terminate()
    await this.#endsWithin(endMillis)
    this.#worker.unref()
  }

  #giveUp(stallMillis: number): void {
    this.cancel(CANCEL_ALL)
    this.#stop(new UpdateWorkersError('DEADLINE', `a slice of a file took more than ${stallMillis / 1000} s`))
  }

  #end(error: Error, onEnd: () => void): void {
    if (this.#open) {
      this.#open = false
      onEnd()
    }
    this.#running?.reject(error)
  }

  #post(request: WorkerRequest): void {
    this.#worker.postMessage(request)
  }

  async #endsWithin(millis: number): Promise<boolean> {
    const timer = new AbortController()
    const late = sleep(millis, false, { signal: timer.signal }).catch(() => false)
    try {
      return await Promise.race([this.#ended.then(() => true), late])
    } finally {
      timer.abort()
    }
  }
}
