import { hash } from 'node:crypto'
import { availableMemory } from 'node:process'
import { lossOptions } from '@tributary/onnx-train/losses/loss'
import { checkTrainingJob, plainLabels } from './check-job.ts'
import { collectAfterLarge, collectForRest } from './collect-garbage.ts'
import {
  type DataSet,
  type EvaluationJob,
  type EvaluationResult,
  examplesOf,
  type Trainer,
  type TrainingJob,
  type TrainOptions,
  type TrainResult,
} from './trainer.ts'
import { type ProcessLimits, type SendRequest, TrainerProcess, type TrainerProcessTimes } from './trainer-process.ts'
import { TrainingError } from './training-error.ts'
import { Turnstile } from './turnstile.ts'
import type { EvaluateMessage, OpenDataMessage, PutDataMessage, TrainMessage, WorkerReport } from './worker/protocol.ts'

export type OnnxTrainerOptions = {
  /** The worker's file, for bundles that move it. @default onnx-worker.ts beside this file */
  readonly workerUrl?: URL
  /** After so long without a job the process of the runtime ends. @default 15 */
  readonly idleSeconds?: number
  /** A job without any sign of life for so long is given up and its process ended. @default 120 */
  readonly stallSeconds?: number
  /** A job that goes on for so long after it was cancelled is ended with its process. @default 3 */
  readonly cancelSeconds?: number
  /** With less memory free on the device, the process ends with its job instead of waiting for the next. @default 128 MiB */
  readonly leastFreeBytes?: number
  /** Jobs that may wait for the one that runs. @default 16 */
  readonly maxWaitingJobs?: number
  /** What the owner lets the process take; looked at when a job begins. @default no limits */
  readonly limits?: () => ProcessLimits
}

/** Data sets that the worker keeps between jobs: one to train on, one to evaluate on. */
const keptDataSets = 2

/** Rows of a file to train on are kept in memory, as they are stored, where they take no more. */
const rowsInMemoryBytes = 64 * 2 ** 20

/**
 * Trains ONNX models with onnxruntime in a process of its own: this one never loads the runtime, stays live, and outlives whatever
 * a model does to it. The process starts with a job and waits some time for the next one, so that the rounds of a task find graphs, sessions
 * and data where they left them.
 */
export class OnnxTrainer implements Trainer {
  readonly #workerUrl: URL
  readonly #idleSeconds: number
  readonly #leastFreeBytes: number
  readonly #times: TrainerProcessTimes
  readonly #turnstile: Turnstile
  readonly #limits: () => ProcessLimits
  readonly #dataIds = new Map<DataSet, number>()
  /** Data sets that the worker holds and nobody will ask for. */
  readonly #staleIds: number[] = []
  #process: TrainerProcess | undefined
  #idleTimer: NodeJS.Timeout | undefined
  #lastId = 0
  #disposed = false

  constructor(options: OnnxTrainerOptions = {}) {
    this.#workerUrl = options.workerUrl ?? new URL('./onnx-worker.ts', import.meta.url)
    this.#idleSeconds = options.idleSeconds ?? 15
    this.#leastFreeBytes = options.leastFreeBytes ?? 128 * 2 ** 20
    this.#times = { stallSeconds: options.stallSeconds ?? 120, cancelSeconds: options.cancelSeconds ?? 3 }
    this.#turnstile = new Turnstile(options.maxWaitingJobs ?? 16)
    this.#limits = options.limits ?? (() => ({ nice: 0, memoryBytes: undefined }))
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
    const { metrics = [] } = job
    const report = await this.#run(job, base => ({ kind: 'evaluate', ...base, loss, metrics }), signal)
    if (report.kind === 'evaluated') return report.result
    throw unexpected(report)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true
    await this.#end(disposed())
  }

  async #run(
    { graph, weights, data }: Pick<TrainingJob, 'graph' | 'weights' | 'data'>,
    toMessage: (base: JobBase) => TrainMessage | EvaluateMessage,
    signal: AbortSignal | undefined,
    onReport: (report: WorkerReport) => void = () => {},
  ): Promise<WorkerReport> {
    using _turn = await this.#turnstile.enter(signal)
    const child = this.#begin()
    try {
      const known = this.#dataIds.get(data)
      const dataId = known ?? ++this.#lastId
      const id = ++this.#lastId
      const message = toMessage({ id, graph, graphKey: hash('sha256', graph, 'hex'), weights, dataId })
      const sent = known === undefined ? await dataMessage(data, message) : undefined
      return await child.request(message, signal, onReport, async send => {
        await this.#makeRoom(data, send)
        if (sent !== undefined) await send(sent)
        this.#dataIds.set(data, dataId)
        // Read for this job alone: the worker has it now.
        if (sent?.kind === 'put-data' && 'read' in data) release(sent)
        collectAfterLarge(weights.byteLength)
      })
    } catch (error) {
      // A file that could not be read may be there again next time.
      if (error instanceof TrainingError && error.code === 'DATA_MISMATCH') this.#forget(data)
      throw error
    } finally {
      // Pieces of the result are waiting.
      collectAfterLarge(weights.byteLength)
      this.#rest()
    }
  }

  #begin(): TrainerProcess {
    if (this.#disposed) throw disposed()
    clearTimeout(this.#idleTimer)
    if (this.#process?.open !== true) {
      this.#forgetAll()
      this.#process = new TrainerProcess(this.#workerUrl, this.#times, this.#limits)
    }
    return this.#process
  }

  /** Drops the data set unused for longest, and makes `data` the youngest. */
  async #makeRoom(data: DataSet, send: SendRequest): Promise<void> {
    this.#dataIds.delete(data)
    for (const stale of this.#dataIds.keys()) {
      if (this.#dataIds.size < keptDataSets) break
      this.#forget(stale)
    }
    for (const dataId of this.#staleIds.splice(0)) await send({ kind: 'drop-data', dataId })
  }

  #forget(data: DataSet): void {
    const dataId = this.#dataIds.get(data)
    if (dataId !== undefined && this.#dataIds.delete(data)) this.#staleIds.push(dataId)
  }

  /** After a job: waits for the next one, where there is memory to wait in. */
  #rest(): void {
    clearTimeout(this.#idleTimer)
    const seconds = availableMemory() < this.#leastFreeBytes ? 0 : this.#idleSeconds
    this.#idleTimer = setTimeout(() => {
      this.#forgetAll()
      collectForRest()
      void this.#end(idle())
    }, seconds * 1000)
    this.#idleTimer.unref()
  }

  async #end(reason: Error): Promise<void> {
    clearTimeout(this.#idleTimer)
    this.#forgetAll()
    const ending = this.#process
    this.#process = undefined
    await ending?.end(reason)
  }

  #forgetAll(): void {
    this.#dataIds.clear()
    this.#staleIds.length = 0
  }
}

const dataMessage = async (
  data: DataSet,
  { kind, dataId }: TrainMessage | EvaluateMessage,
): Promise<PutDataMessage | OpenDataMessage> => {
  if ('read' in data && data.file !== undefined) {
    // An evaluation reads row after row, which a disk is as good for.
    const { file, affine } = data
    return { kind: 'open-data', dataId, file, memoryBytes: kind === 'train' ? rowsInMemoryBytes : 0, affine }
  }
  const read = 'read' in data ? await data.read() : data
  return { kind: 'put-data', dataId, features: read.features, labels: plainLabels(read), examples: examplesOf(data) }
}

/** Gives the memory back now; the collector would let it wait. */
const release = ({ features, labels }: PutDataMessage): void => {
  for (const { buffer } of ['bytes' in features ? features.bytes : features, labels]) {
    if (buffer instanceof ArrayBuffer) buffer.transfer(0)
  }
}

type JobBase = Omit<EvaluateMessage, 'kind' | 'loss' | 'metrics'>

const unexpected = (report: WorkerReport): TrainingError =>
  new TrainingError(
    'CRASHED',
    `The training process answered with "${report.kind}". Check that its file fits this build.`,
  )

const disposed = (): TrainingError => new TrainingError('DISPOSED', 'The trainer was closed. Open another one.')

const idle = (): Error => new Error('No job came.')
