import { hash } from 'node:crypto'
import { lossOptions } from '@tributary/onnx-train/losses/loss'
import { checkTrainingJob, plainLabels } from './check-job.ts'
import { collectAfterLarge } from './collect-garbage.ts'
import {
  type CheckJob,
  type DataSet,
  type EvaluationJob,
  type EvaluationResult,
  examplesOf,
  type Trainer,
  type TrainingJob,
  type TrainOptions,
  type TrainResult,
} from './trainer.ts'
import { TrainingError } from './training-error.ts'
import { Turnstile } from './turnstile.ts'
import type { CheckMessage, EvaluateMessage, TrainMessage, WorkerReport } from './worker/protocol.ts'
import { WorkerLink } from './worker-link.ts'

export type OnnxTrainerOptions = {
  /** The worker's file, for bundles that move it. @default onnx-worker.ts beside this file */
  readonly workerUrl?: URL
  /** After so long without a job the worker gives back graphs, sessions and data. @default 60 */
  readonly idleSeconds?: number
  /** A job without any sign of life for so long is given up and its worker ended. @default 120 */
  readonly stallSeconds?: number
  /** Jobs that may wait for the one that runs. @default 16 */
  readonly maxWaitingJobs?: number
}

/** Data sets that the worker keeps between jobs: one to train on, one to evaluate on. */
const keptDataSets = 2

/**
 * Trains ONNX models with onnxruntime in a worker thread, so that the event loop of the process stays live. The worker
 * starts with the first job and lives as long as the trainer: the runtime flushes denormals to zero only in the thread
 * that made the first session of a process, so a second worker would be slower. When idle it only forgets what it holds.
 */
export class OnnxTrainer implements Trainer {
  readonly #workerUrl: URL
  readonly #idleSeconds: number
  readonly #stallSeconds: number
  readonly #turnstile: Turnstile
  readonly #dataIds = new Map<DataSet, number>()
  #link: WorkerLink | undefined
  #idleTimer: NodeJS.Timeout | undefined
  #lastId = 0
  #disposed = false

  constructor(options: OnnxTrainerOptions = {}) {
    this.#workerUrl = options.workerUrl ?? new URL('./onnx-worker.ts', import.meta.url)
    this.#idleSeconds = options.idleSeconds ?? 60
    this.#stallSeconds = options.stallSeconds ?? 120
    this.#turnstile = new Turnstile(options.maxWaitingJobs ?? 16)
  }

  async train(job: TrainingJob, { signal, onProgress }: TrainOptions = {}): Promise<TrainResult> {
    checkTrainingJob(job)
    const { settings, orders, frozen = [] } = job
    const toMessage = (base: JobBase): TrainMessage => ({
      kind: 'train',
      ...base,
      loss: lossOptions(settings.loss),
      settings,
      frozen,
      orders,
    })
    const report = await this.#run(job, toMessage, signal, report => {
      if (report.kind === 'progress') onProgress?.(report.progress)
    })
    if (report.kind === 'trained') return report.result
    throw unexpected(report)
  }

  async evaluate(job: EvaluationJob, { signal }: Pick<TrainOptions, 'signal'> = {}): Promise<EvaluationResult> {
    const loss = lossOptions(job.loss)
    const report = await this.#run(job, base => ({ kind: 'evaluate', ...base, loss }), signal)
    if (report.kind === 'evaluated') return report.result
    throw unexpected(report)
  }

  async check({ graph, weights }: CheckJob, { signal }: Pick<TrainOptions, 'signal'> = {}): Promise<boolean> {
    using _turn = await this.#turnstile.enter(signal)
    const link = this.#begin()
    try {
      collectAfterLarge(weights.byteLength)
      const moved = weights.slice() as Movable<Float32Array>
      const id = ++this.#lastId
      const message: CheckMessage = {
        kind: 'check',
        id,
        graph: compact(graph),
        weights: moved,
        cancel: new SharedArrayBuffer(4),
      }
      const report = await link.request(message, signal, () => {})
      if (report.kind === 'checked') return report.finite
      throw unexpected(report)
    } finally {
      this.#rest(link)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true
    clearTimeout(this.#idleTimer)
    this.#dataIds.clear()
    await this.#link?.end(new TrainingError('DISPOSED', 'The trainer was closed. Open another one.'))
  }

  async #run(
    { graph, weights, data }: Pick<TrainingJob, 'graph' | 'weights' | 'data'>,
    toMessage: (base: JobBase) => TrainMessage | EvaluateMessage,
    signal: AbortSignal | undefined,
    onReport: (report: WorkerReport) => void = () => {},
  ): Promise<WorkerReport> {
    using _turn = await this.#turnstile.enter(signal)
    const link = this.#begin()
    try {
      const dataId = await this.#putData(link, data)
      collectAfterLarge(weights.byteLength)
      const id = ++this.#lastId
      const cancel = new SharedArrayBuffer(4)
      const message = toMessage({
        id,
        graph: compact(graph),
        graphKey: hash('sha256', graph, 'hex'),
        weights: weights.slice() as Movable<Float32Array>,
        dataId,
        cancel,
      })
      return await link.request(message, signal, onReport)
    } finally {
      this.#rest(link)
    }
  }

  #begin(): WorkerLink {
    if (this.#disposed) throw new TrainingError('DISPOSED', 'The trainer was closed. Open another one.')
    clearTimeout(this.#idleTimer)
    return this.#openLink()
  }

  #openLink(): WorkerLink {
    if (this.#link?.open !== true) {
      this.#dataIds.clear()
      this.#link = new WorkerLink(this.#workerUrl, this.#stallSeconds)
    }
    return this.#link
  }

  /** Gives the worker a data set that it does not hold, and drops the one unused for longest. */
  async #putData(link: WorkerLink, data: DataSet): Promise<number> {
    const known = this.#dataIds.get(data)
    const dataId = known ?? ++this.#lastId
    this.#dataIds.delete(data)
    for (const [stale, staleId] of this.#dataIds) {
      if (this.#dataIds.size < keptDataSets) break
      this.#dataIds.delete(stale)
      link.post({ kind: 'drop-data', dataId: staleId })
    }
    if (known === undefined) await sendData(link, dataId, data)
    this.#dataIds.set(data, dataId)
    return dataId
  }

  #rest(link: WorkerLink): void {
    this.#idleTimer = setTimeout(() => {
      this.#dataIds.clear()
      if (link.open) link.post({ kind: 'forget' })
    }, this.#idleSeconds * 1000)
    this.#idleTimer.unref()
  }
}

/** Data that was read for this is moved, data that its owner holds is copied. */
const sendData = async (link: WorkerLink, dataId: number, data: DataSet): Promise<void> => {
  const isSource = 'read' in data
  const read = isSource ? await data.read() : data
  const labels = compact(plainLabels(read))
  const values = compact('bytes' in read.features ? read.features.bytes : read.features)
  const features =
    'bytes' in read.features ? { ...read.features, bytes: values as Uint8Array } : (values as Float32Array)
  const moved = isSource ? [values.buffer, labels.buffer] : []
  link.post({ kind: 'put-data', dataId, features, labels, examples: examplesOf(data) }, moved)
}

type Movable<View> = View & { readonly buffer: ArrayBuffer }

/** Sending a view sends the whole buffer behind it; a view of a part is cut out first. */
const compact = <View extends Float32Array | Int32Array | Uint8Array>(view: View): Movable<View> =>
  (view.byteLength === view.buffer.byteLength ? view : view.slice()) as Movable<View>

type JobBase = Omit<EvaluateMessage, 'kind' | 'loss'>

const unexpected = (report: WorkerReport): TrainingError =>
  new TrainingError(
    'CRASHED',
    `The training worker answered with "${report.kind}". Check that its file fits this build.`,
  )
