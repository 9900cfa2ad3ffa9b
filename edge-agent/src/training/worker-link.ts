import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { TrainingDivergedError, TrainingError } from './training-error.ts'
import type { CheckMessage, EvaluateMessage, TrainMessage, WorkerReport, WorkerRequest } from './worker/protocol.ts'

type Pending = {
  readonly id: number
  readonly cancel: () => void
  readonly onReport: (report: WorkerReport) => void
  readonly settle: (outcome: WorkerReport | Error) => void
}

/**
 * The worker thread as its owner sees it: one job at a time, given up when it shows no life. The thread is asked to end
 * and never terminated: the runtime brings the whole process down when its thread is torn away from a native call.
 */
export class WorkerLink {
  readonly #worker: Worker
  readonly #stallSeconds: number
  #pending: Pending | undefined
  #open = true
  #ended: Promise<void> | undefined

  constructor(url: URL, stallSeconds: number) {
    this.#stallSeconds = stallSeconds
    this.#worker = new Worker(url, { name: 'onnx-training' })
    // Only a running job keeps the process alive.
    this.#worker.unref()
    this.#worker.on('message', (report: WorkerReport) => this.#receive(report))
    this.#worker.on('error', error => this.#close(crashed(error)))
    this.#worker.on('exit', code => this.#close(crashed(new Error(`exit code ${code}`))))
  }

  get open(): boolean {
    return this.#open
  }

  /** @param moved buffers that the worker takes over, so that nothing is copied */
  post(request: WorkerRequest, moved: readonly ArrayBuffer[] = []): void {
    this.#worker.postMessage(request, moved)
  }

  /**
   * Sends a job, whose weights the worker takes over, and waits for its last report. An abort asks the worker to stop and rejects with the signal's reason
   * once it has. Rejects with TrainingError: what the worker refused, STALLED, CRASHED.
   */
  async request(
    message: TrainMessage | EvaluateMessage | CheckMessage,
    signal: AbortSignal | undefined,
    onReport: (report: WorkerReport) => void,
  ): Promise<WorkerReport> {
    signal?.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<WorkerReport>()
    const settle = (outcome: WorkerReport | Error): void => {
      if (outcome instanceof Error) reject(outcome)
      else resolve(outcome)
    }
    const cancel = (): void => void Atomics.store(new Int32Array(message.cancel), 0, 1)
    const watchdog = setTimeout(() => this.#giveUp(), this.#stallSeconds * 1000)
    this.#pending = {
      id: message.id,
      cancel,
      settle,
      onReport: report => {
        watchdog.refresh()
        try {
          onReport(report)
        } catch (error) {
          cancel()
          settle(error instanceof Error ? error : new Error(String(error)))
        }
      },
    }
    signal?.addEventListener('abort', cancel, { once: true })
    this.#worker.ref()
    try {
      this.post(message, [message.weights.buffer])
      const report = await promise
      if (report.kind === 'cancelled') throw signal?.reason
      if (report.kind !== 'failed') return report
      if (report.code === 'DIVERGED') throw new TrainingDivergedError(report.step ?? 0)
      throw new TrainingError(report.code, report.message)
    } finally {
      this.#pending = undefined
      clearTimeout(watchdog)
      signal?.removeEventListener('abort', cancel)
      this.#worker.unref()
    }
  }

  /** Asks the thread to end, and waits for that; a job in flight is rejected with `reason` and stops at its next run. */
  end(reason: Error): Promise<void> {
    this.#ended ??= this.#end(reason)
    return this.#ended
  }

  async #end(reason: Error): Promise<void> {
    if (!this.#open) return
    this.#pending?.cancel()
    this.#close(reason)
    this.post({ kind: 'close' })
    this.#worker.ref()
    const deadline = AbortSignal.timeout(this.#stallSeconds * 1000)
    // A thread that never comes back from native code is left behind; it holds nothing that anybody waits for.
    await once(this.#worker, 'exit', { signal: deadline }).catch(() => this.#worker.unref())
  }

  #receive(report: WorkerReport): void {
    const pending = this.#pending
    if (pending?.id !== report.id) return
    if (report.kind === 'progress') pending.onReport(report)
    else pending.settle(report)
  }

  #close(reason: Error): void {
    this.#open = false
    this.#pending?.settle(reason)
  }

  #giveUp(): void {
    const reason = `The training worker showed no sign of life for ${this.#stallSeconds} s. Train a smaller model here.`
    void this.end(new TrainingError('STALLED', reason))
  }
}

const crashed = (cause: Error): TrainingError =>
  new TrainingError('CRASHED', `The training worker ended: ${cause.message}. The job can be tried again.`, { cause })
