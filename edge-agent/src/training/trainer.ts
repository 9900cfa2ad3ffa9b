import type { LossChoice } from '@tributary/onnx-train/losses/loss'
import type { OptimizerChoice } from '@tributary/onnx-train/optimisers/optimiser'
import type { Affine } from '../data/rows/row-layout.ts'

/** Numbers in the bytes of their file, each of which stands for itself divided by `scale`: a quarter of the memory. */
export type ByteFeatures = { readonly bytes: Uint8Array; readonly scale: number }

/** Examples in memory. Must not be changed while a trainer knows them: it may keep a copy between jobs. */
export type Examples = {
  /** Row-major [examples, …shape of one example]. */
  readonly features: Float32Array | ByteFeatures
  /**
   * Row-major [examples, …shape of one label]: classes 0 … classes − 1, or numbers where the loss takes numbers. Most
   * models have one label an example.
   */
  readonly labels: Int32Array | BigInt64Array | Float32Array
  /** @default the number of labels: one an example */
  readonly examples?: number
}

/** Examples that are read when a trainer needs them and does not hold them from an earlier job with the same object. */
export type DataSource = {
  readonly examples: number
  /** A file of rows on this device that holds the same (`data/rows/`): whoever can reads them there, one by one. */
  readonly file?: string
  /** What the numbers of that file stand for, where it is not what its header says. */
  readonly affine?: Affine
  /** Gives arrays away: the caller may move them elsewhere. */
  readonly read: () => Promise<Examples>
}

/** The examples of one device. */
export type DataSet = Examples | DataSource

/** The number of examples of a data set. */
export const examplesOf = (data: DataSet): number => data.examples ?? ('labels' in data ? data.labels.length : 0)

export type TrainingSettings = {
  readonly localEpochs: number
  /** Examples a step; the last step of an epoch takes what is left. */
  readonly batchSize: number
  readonly learningRate: number
  readonly optimizer: OptimizerChoice
  readonly loss: LossChoice
  /** The gradient of every batch is scaled down to this global norm. @default not clipped */
  readonly gradientClippingNorm?: number | undefined
  /** μ of FedProx: local weights are held near the job's. @default 0 */
  readonly proximal?: number | undefined
}

export type TrainingJob = {
  /** Forward graph, ONNX bytes, with or without its weights. */
  readonly graph: Uint8Array
  /** Every parameter and running statistic, flat, in manifest order. */
  readonly weights: Float32Array
  /** Names, or patterns with *, of those that keep their values. @default none */
  readonly frozen?: readonly string[]
  readonly data: DataSet
  readonly settings: TrainingSettings
  /** Row numbers in the order of training, one list a local epoch: usually a seeded permutation. */
  readonly orders: readonly Int32Array[]
}

export type TrainProgress = {
  readonly steps: number
  readonly totalSteps: number
  /** Mean loss of the steps since the last report. */
  readonly loss: number
  readonly examplesPerSecond: number
}

export type TrainResult = {
  /** New parameters and running statistics, flat, in manifest order. */
  readonly weights: Float32Array
  readonly steps: number
  /** Examples seen, all local epochs together. */
  readonly examplesSeen: number
  /** Mean loss over all examples seen, each before the step that learnt from it. */
  readonly meanLoss: number
  readonly seconds: number
  /** Whether denormals were flushed to zero: false when another session was the first of the process. */
  readonly flushToZero: boolean
}

export type EvaluationJob = Pick<TrainingJob, 'graph' | 'weights' | 'data'> & {
  readonly loss: LossChoice
  /** What to find beside the loss: docs/evaluation.md. @default none, but for what is cheap and tells nothing of the labels */
  readonly metrics?: readonly string[]
}

export type EvaluationResult = {
  readonly examples: number
  /**
   * Examples whose prediction is their label; where one has several positions, its share of right ones counts, and the
   * sum is rounded. Null for real labels, which no prediction meets exactly.
   */
  readonly correct: number | null
  /** What else was asked for: additive integers by name, in decimal. docs/evaluation.md */
  readonly sums: Readonly<Record<string, string>>
  /** Summed loss; each example's is rounded to a multiple of 2^−20, so sums are exact in any order. */
  readonly lossSum: number
  readonly seconds: number
}

export type TrainOptions = {
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: TrainProgress) => void
}

/**
 * Trains and evaluates models on local data, one job at a time; further jobs wait. The same job gives the same bytes.
 * Rejects with TrainingError (TrainingDivergedError for a loss that is not finite) or, after an abort, the signal's reason.
 */
export type Trainer = AsyncDisposable & {
  train(job: TrainingJob, options?: TrainOptions): Promise<TrainResult>
  evaluate(job: EvaluationJob, options?: Pick<TrainOptions, 'signal'>): Promise<EvaluationResult>
}
