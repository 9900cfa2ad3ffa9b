import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { giveWay } from '../processes/give-way.ts'
import { processMemoryBytes } from '../processes/process-memory.ts'
import { FrameReader } from './channel/frame-reader.ts'
import { FrameWriter } from './channel/frame-writer.ts'
import { crashed, endOf, overLimit, stalled, TextTail } from './process-end.ts'
import { TrainingDivergedError, TrainingError } from './training-error.ts'
import type { JobRequest, WorkerReport, WorkerRequest } from './worker/protocol.ts'

export type TrainerProcessTimes = {
  /** A job without any sign of life for so long is given up. */
  readonly stallSeconds: number
  /** A job that goes on for so long after it was cancelled is ended with its process. */
  readonly cancelSeconds: number
}

/** What the owner lets it take. */
export type ProcessLimits = { readonly nice: number; readonly memoryBytes: number | undefined }

export type SendRequest = (request: WorkerRequest) => Promise<void>

type Pending = {
  readonly id: number
  readonly weightsBytes: number
  readonly onProgress: (report: WorkerReport) => void
  readonly settle: (outcome: WorkerReport | Error) => void
}

/** The child's V8: young objects stay few, since what is large there are arrays, which live elsewhere. */
const nodeOptions = ['--max-semi-space-size=1']
/** The child's allocator: one heap for all threads, which gives back what is free. It gets nothing else of the environment. */
const environment = { MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: '1048576' }
const memoryPollMillis = 500
/** A killed process is gone at once; one in the middle of a disk's work is not waited for. */
const mostEndMillis = 1_000

/**
 * The process that holds the runtime, as the agent sees it: one job at a time, over one socket. It lives no longer than the agent,
 * whose end closes the socket; and whatever happens in it, an abort of the runtime or a kill by the kernel, ends that job only.
 */
export class TrainerProcess {
  readonly #child: ChildProcess
  readonly #channel: Socket
  readonly #writer: FrameWriter
  readonly #times: TrainerProcessTimes
  readonly #limits: () => ProcessLimits
  readonly #closed: Promise<unknown>
  #pending: Pending | undefined
  #open = true

  /**
   * @param url file of the worker's code
   * @throws TrainingError CRASHED when no process can be started
   */
  constructor(
    url: URL,
    times: TrainerProcessTimes,
    limits: () => ProcessLimits = () => ({ nice: 0, memoryBytes: undefined }),
  ) {
    this.#times = times
    this.#limits = limits
    this.#child = spawn(process.execPath, [...nodeOptions, fileURLToPath(url)], {
      env: environment,
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    })
    this.#child.on('error', error => this.#close(crashed('did not start', error)))
    const [, , stderr, channel] = this.#child.stdio as unknown as (Socket | undefined)[]
    if (stderr === undefined || channel === undefined) throw crashed('did not start: too many files are open')
    const tail = new TextTail(stderr)
    // After its last output was read.
    this.#closed = once(this.#child, 'close').catch(() => {})
    this.#child.on('close', (code, signal) => this.#close(endOf(code, signal, tail.text)))
    const reader = new FrameReader(
      message => this.#receive(message as WorkerReport),
      // Only the result of the job at hand is large.
      () => this.#pending?.weightsBytes ?? 0,
    )
    channel.on('data', chunk => {
      try {
        reader.push(chunk)
      } catch (error) {
        void this.end(crashed('answered with bytes that are no report', error))
      }
    })
    // The end of the process says more.
    channel.on('error', () => {})
    this.#channel = channel
    this.#writer = new FrameWriter(channel)
    stderr.unref()
    this.#unref()
  }

  get open(): boolean {
    return this.#open
  }

  /**
   * Sends a job and waits for its last report. An abort asks the worker to stop and rejects with the signal's reason once it has;
   * a worker that goes on is ended. Rejects with TrainingError: what the worker refused, STALLED, CRASHED, MEMORY_LIMIT.
   * @param prepare sends what the job needs before it
   */
  async request(
    message: JobRequest,
    signal: AbortSignal | undefined,
    onProgress: (report: WorkerReport) => void,
    prepare: (send: SendRequest) => Promise<void> = async () => {},
  ): Promise<WorkerReport> {
    signal?.throwIfAborted()
    const { id } = message
    const { nice, memoryBytes } = this.#limits()
    giveWay(this.#child.pid, nice)
    using _memory = this.#watchMemory(memoryBytes)
    const { stallSeconds, cancelSeconds } = this.#times
    const { promise: last, resolve, reject } = Promise.withResolvers<WorkerReport>()
    const settle = (outcome: WorkerReport | Error): void =>
      outcome instanceof Error ? reject(outcome) : resolve(outcome)
    const watchdog = setTimeout(() => void this.end(stalled(stallSeconds)), stallSeconds * 1000)
    last.catch(() => {})
    let patience: NodeJS.Timeout | undefined
    const cancel = (): void => {
      this.#writer.write({ kind: 'cancel', id }).catch(() => {})
      const goesOn = (): void => void this.end(crashed('was ended, since its job went on after it was cancelled'))
      patience = setTimeout(goesOn, cancelSeconds * 1000)
    }
    this.#pending = {
      id,
      weightsBytes: message.weights.byteLength,
      settle,
      onProgress: report => {
        watchdog.refresh()
        try {
          onProgress(report)
        } catch (error) {
          cancel()
          settle(error instanceof Error ? error : new Error(String(error)))
        }
      },
    }
    signal?.addEventListener('abort', cancel, { once: true })
    this.#ref()
    try {
      // Where the process ended, `last` says why; that nothing can be sent any more is only what follows.
      const send: SendRequest = async request => {
        signal?.throwIfAborted()
        const sent = this.#writer.write(request, () => watchdog.refresh())
        await Promise.race([sent.catch(() => last), last])
      }
      await prepare(send)
      await send(message)
      const report = await last
      if (report.kind === 'cancelled') throw signal?.reason
      if (report.kind !== 'failed') return report
      if (report.code === 'DIVERGED') throw new TrainingDivergedError(report.step ?? 0)
      throw new TrainingError(report.code, report.message)
    } catch (error) {
      throw signal?.aborted === true && !this.#open ? signal.reason : error
    } finally {
      this.#pending = undefined
      clearTimeout(watchdog)
      clearTimeout(patience)
      signal?.removeEventListener('abort', cancel)
      this.#unref()
    }
  }

  /** Ends the process and waits for that; a job in flight is rejected with `reason`. It holds nothing that would be lost. */
  async end(reason: Error): Promise<void> {
    this.#close(reason)
    this.#child.kill('SIGKILL')
    this.#child.ref()
    await Promise.race([this.#closed, delay(mostEndMillis, undefined, { ref: false })])
  }

  /** Ends the process once it has more memory of its own than the owner lets it take. */
  #watchMemory(most: number | undefined): Disposable {
    const { pid } = this.#child
    if (most === undefined || pid === undefined) return { [Symbol.dispose]: () => {} }
    const look = async (): Promise<void> => {
      const bytes = await processMemoryBytes(pid)
      if (bytes > most) await this.end(overLimit(bytes, most))
    }
    const timer = setInterval(() => void look(), memoryPollMillis)
    return { [Symbol.dispose]: () => clearInterval(timer) }
  }

  #receive(report: WorkerReport): void {
    const pending = this.#pending
    if (pending?.id !== report.id) return
    if (report.kind === 'progress') pending.onProgress(report)
    else pending.settle(report)
  }

  #close(reason: Error): void {
    this.#open = false
    this.#pending?.settle(reason)
  }

  /** Only a running job keeps the agent's process alive. */
  #ref(): void {
    this.#child.ref()
    this.#channel.ref()
  }

  #unref(): void {
    this.#child.unref()
    this.#channel.unref()
  }
}
