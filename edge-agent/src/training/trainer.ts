/** The examples of one device. Must not be changed while a trainer knows it: it may keep a copy between jobs. */
export type DataSet = {
  /** Row-major [examples, …shape of one example]. */
  readonly features: Float32Array
  /** Class of each example, 0 … classes − 1; its length is the number of examples. */
  readonly labels: Int32Array | BigInt64Array
}

export type TrainingSettings = {
  readonly localEpochs: number
  /** Examples a step; the last step of an epoch takes what is left. */
  readonly batchSize: number
  readonly learningRate: number
  readonly optimizer: 'sgd'
  readonly loss: 'softmax-cross-entropy'
}

export type TrainingJob = {
  /** Forward graph, ONNX bytes, with or without its weights. */
  readonly graph: Uint8Array
  /** Every parameter, flat, in manifest order. */
  readonly weights: Float32Array
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
  /** New parameters, flat, in manifest order. */
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
  readonly loss: 'softmax-cross-entropy'
}

export type EvaluationResult = {
  readonly examples: number
  readonly correct: number
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
