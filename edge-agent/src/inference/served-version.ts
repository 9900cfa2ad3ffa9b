import type { Logger } from 'pino'
import { Backoff } from '../transport/backoff.ts'
import { checkRequest } from './check-request.ts'
import { allFinite } from './finite.ts'
import { HealthWindow } from './health-window.ts'
import { InferenceError } from './inference-error.ts'
import { ModelProcess, ModelProcessError, type ModelProcessOptions } from './model-process.ts'
import { type InferenceRequest, type InferenceResult, type QueuedRequest, RequestQueue } from './request-queue.ts'
import { rowsOf } from './worker/join-rows.ts'
import type { ModelDescription, ModelFiles } from './worker/protocol.ts'

/** Runs that are with the process at once: one is computed while the next one's bytes cross. */
const mostRuns = 2

export type ServedVersionOptions = {
  readonly process: ModelProcessOptions
  /** How long a request may wait for others to join it. */
  readonly maxWaitMillis: number
  /** Requests that may wait. */
  readonly maxQueue: number
  /** The process ends after so long without a request. */
  readonly idleMillis: number
  readonly log: Logger
  /** Told of every run: requests joined, rows, and seconds in the runtime. */
  readonly onRun?: (run: { readonly requests: number; readonly rows: number; readonly seconds: number }) => void
  /** Told once, when too many requests failed. */
  readonly onUnhealthy: (detail: string) => void
  /** Told when the files are not what they were. */
  readonly onDamaged: () => void
}

/**
 * One version in service: its queue, and its process, which starts with the first request, ends when nobody asks, and is started
 * again, with growing pauses, when it crashes. Retired, it finishes what it has and ends.
 */
export class ServedVersion implements AsyncDisposable {
  readonly #files: ModelFiles
  readonly #options: ServedVersionOptions
  readonly #queue: RequestQueue
  readonly #health = new HealthWindow()
  readonly #backoff = new Backoff(500, 30_000)
  readonly #closing = new AbortController()
  readonly #drained = Promise.withResolvers<void>()
  #process: ModelProcess | undefined
  #opening: Promise<void> | undefined
  #description: ModelDescription | undefined
  #downUntil = 0
  #runs = 0
  #retired = false
  #complained = false
  #idleTimer: NodeJS.Timeout | undefined
  #joinTimer: NodeJS.Timeout | undefined

  /** @param process one that was opened for the check, taken over */
  constructor(files: ModelFiles, options: ServedVersionOptions, process?: ModelProcess) {
    this.#files = files
    this.#options = options
    this.#queue = new RequestQueue(options.maxQueue)
    if (process !== undefined) this.#take(process)
  }

  get retired(): boolean {
    return this.#retired
  }

  /** Whether a request would be taken: not while a crashed process may not start again yet. */
  get ready(): boolean {
    return !this.#retired && performance.now() >= this.#downUntil
  }

  get waiting(): number {
    return this.#queue.size
  }

  /** Runs that are with the process. */
  get running(): number {
    return this.#runs
  }

  /** Whether the process is there; it comes with the first request. */
  get loaded(): boolean {
    return this.#process?.open === true
  }

  get pid(): number | undefined {
    return this.#process?.pid
  }

  /** Inputs and outputs; starts the process where they are not known yet. Rejects with InferenceError. */
  async describe(): Promise<ModelDescription> {
    if (this.#description === undefined) await this.#ensureOpen()
    return this.#description as ModelDescription
  }

  /**
   * Runs one request, joined with others where the model allows that. Rejects with InferenceError, or the signal's reason; a request that was
   * given up is not run any more where it still waits.
   */
  async infer(request: InferenceRequest, signal: AbortSignal): Promise<InferenceResult> {
    const description = await this.describe()
    const fit = checkRequest(request, description)
    this.#refuseRetired()
    if (performance.now() < this.#downUntil) throw this.#down()
    signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<InferenceResult>()
    const queued: QueuedRequest = {
      ...fit,
      enqueuedAt: performance.now(),
      settle: outcome => (outcome instanceof Error ? reject(outcome) : resolve(outcome)),
    }
    this.#queue.add(queued)
    const giveUp = (): void => {
      this.#queue.remove(queued)
      reject(signal.reason as Error)
      this.#pump()
    }
    signal.addEventListener('abort', giveUp, { once: true })
    try {
      this.#pump()
      return await promise
    } finally {
      signal.removeEventListener('abort', giveUp)
    }
  }

  /** Takes no more requests, finishes those it has, and ends the process. Resolves when that is done. */
  async retire(): Promise<void> {
    this.#retired = true
    this.#pump()
    await this.#drained.promise
    await this[Symbol.asyncDispose]()
  }

  /** Ends at once: what waits is refused. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#retired = true
    this.#closing.abort(new InferenceError('STOPPING', 'The model is served no more.'))
    clearTimeout(this.#idleTimer)
    clearTimeout(this.#joinTimer)
    for (const { settle } of this.#queue.clear()) settle(new InferenceError('STOPPING', 'The model is served no more.'))
    await this.#opening?.catch(() => {})
    const process = this.#process
    this.#process = undefined
    await process?.[Symbol.asyncDispose]()
    this.#drained.resolve()
  }

  #refuseRetired(): void {
    if (this.#retired) throw new RetiredError()
  }

  #down(): InferenceError {
    const seconds = Math.max(1, Math.ceil((this.#downUntil - performance.now()) / 1000))
    return new InferenceError('RUNTIME_DOWN', 'The process of the model ended and is started again. Try again later.', {
      retryAfterSeconds: seconds,
    })
  }

  /** Starts the process where it is not there; all who wait for it wait for the same start. */
  async #ensureOpen(): Promise<void> {
    if (this.#process?.open === true) return
    this.#refuseRetiredEmpty()
    if (performance.now() < this.#downUntil) throw this.#down()
    this.#opening ??= this.#start().finally(() => {
      this.#opening = undefined
    })
    await this.#opening
  }

  /** A retired version still starts its process for what waits. */
  #refuseRetiredEmpty(): void {
    if (this.#retired && this.#queue.size === 0) throw new RetiredError()
  }

  async #start(): Promise<void> {
    try {
      this.#take(await ModelProcess.open(this.#files, this.#options.process, this.#closing.signal))
    } catch (error) {
      this.#closing.signal.throwIfAborted()
      this.#failed(error)
      throw this.#down()
    }
  }

  #take(process: ModelProcess): void {
    this.#process = process
    this.#description = process.description
    void process.ended.then(() => {
      // One that was asked to end is not this version's any more.
      if (this.#process === process) this.#lost()
    })
    this.#rest()
  }

  /** The process ended by itself. */
  #lost(): void {
    this.#process = undefined
    if (this.#closing.signal.aborted) return
    this.#failed(new ModelProcessError('CRASHED', 'The process of the model ended.'))
    this.#pump()
  }

  #failed(error: unknown): void {
    this.#downUntil = performance.now() + this.#backoff.next()
    this.#options.log.warn({ err: error }, 'the process of a served model failed')
    if (error instanceof ModelProcessError && error.code === 'FILES_DAMAGED') this.#options.onDamaged()
    else this.#count(true)
  }

  #count(failed: boolean): void {
    const now = performance.now()
    this.#health.add(failed, now)
    const complaint = failed && !this.#complained && !this.#retired ? this.#health.complaint(now) : undefined
    if (complaint === undefined) return
    this.#complained = true
    this.#options.onUnhealthy(complaint)
  }

  #pump(): void {
    if (this.#queue.size === 0) {
      if (this.#retired && this.#runs === 0) this.#drained.resolve()
      return
    }
    if (this.#process?.open !== true) {
      void this.#ensureOpen().then(
        () => this.#pump(),
        (error: Error) => {
          for (const { settle } of this.#queue.clear()) settle(error)
          this.#pump()
        },
      )
      return
    }
    while (this.#runs < mostRuns && this.#queue.size > 0 && !this.#waitsForOthers()) void this.#run()
  }

  /** Whether the next run is put off so that more can join it. */
  #waitsForOthers(): boolean {
    const { maxWaitMillis, process } = this.#options
    if (maxWaitMillis === 0 || this.#retired || this.#description?.joinsFrom === undefined) return false
    const left = (this.#queue.oldest ?? 0) + maxWaitMillis - performance.now()
    if (left <= 0 || this.#queue.nextRows(process.mostRows) >= process.mostRows) return false
    clearTimeout(this.#joinTimer)
    this.#joinTimer = setTimeout(() => this.#pump(), Math.ceil(left))
    return true
  }

  async #run(): Promise<void> {
    const process = this.#process as ModelProcess
    const batch = this.#queue.take(this.#options.process.mostRows)
    this.#runs += 1
    clearTimeout(this.#idleTimer)
    try {
      await this.#runBatch(process, batch)
    } catch (error) {
      // A run that failed together says nothing about each: the input of one may be the reason.
      if (batch.length > 1 && isRefused(error)) {
        for (const request of batch)
          await this.#runBatch(process, [request]).catch(cause => this.#refuse(request, cause))
      } else for (const request of batch) this.#refuse(request, error)
    } finally {
      this.#runs -= 1
      this.#rest()
      this.#pump()
    }
  }

  async #runBatch(process: ModelProcess, batch: readonly QueuedRequest[]): Promise<void> {
    const [first] = batch
    if (first === undefined) return
    const rows = batch.reduce((sum, request) => sum + request.rows, 0)
    const pad = rows === 1 && process.description.joinsFrom === 2
    const ran = await process.run(
      batch.map(({ inputs }) => inputs),
      first.outputs,
      pad,
    )
    this.#backoff.reset()
    this.#options.onRun?.({ requests: batch.length, rows, seconds: ran.seconds })
    let at = 0
    for (const { rows: own, inputs, settle } of batch) {
      const from = at
      at += own
      const outputs = batch.length === 1 ? ran.outputs : ran.outputs.map(tensor => rowsOf(tensor, from, at))
      // Who sends what is not finite may get it back.
      if (ran.finite || allFinite(inputs)) this.#count(!ran.finite && !allFinite(outputs))
      settle({ outputs, joined: batch.length })
    }
  }

  #refuse({ settle }: QueuedRequest, error: unknown): void {
    if (isRefused(error)) {
      if (error.code === 'RUN_FAILED') this.#count(true)
      settle(new InferenceError(error.code, error.message, { cause: error }))
      return
    }
    const { aborted, reason } = this.#closing.signal
    if (!aborted) this.#count(true)
    settle(aborted ? (reason as Error) : this.#down())
  }

  #rest(): void {
    clearTimeout(this.#idleTimer)
    if (this.#runs > 0 || this.#closing.signal.aborted) return
    this.#idleTimer = setTimeout(() => void this.#sleep(), this.#options.idleMillis)
    this.#idleTimer.unref()
  }

  /** Nobody asked for long: the process gives everything back. */
  async #sleep(): Promise<void> {
    const process = this.#process
    if (process === undefined || this.#runs > 0 || this.#queue.size > 0) return
    this.#process = undefined
    await process[Symbol.asyncDispose]()
  }
}

/** The version was replaced in the meantime: ask the one that took its place. */
export class RetiredError extends Error {
  override readonly name = 'RetiredError'
}

type Refused = ModelProcessError & { readonly code: 'RUN_FAILED' | 'INPUTS_REFUSED' }

const isRefused = (error: unknown): error is Refused =>
  error instanceof ModelProcessError && (error.code === 'RUN_FAILED' || error.code === 'INPUTS_REFUSED')
