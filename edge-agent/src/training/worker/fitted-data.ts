import type { CompiledTraining } from '@tributary/onnx-train/compile-training'
import type { Tensor } from '@tributary/onnx-train/tensor'

/** Features and labels as a graph takes them; both with the examples as first axis. */
export type Part = { readonly features: Tensor; readonly labels: Tensor }

/** A data set that fits a graph. What it hands out holds until it is asked again. Throws TrainingError, DataError. */
export type FittedData = {
  readonly examples: number
  /** Features and labels of which `order`, int32, chooses rows: the given ones of the data set. */
  readonly choose: (rows: Int32Array) => Promise<Part & { readonly order: Int32Array }>
  /** Rows from `from` to before `to`. */
  readonly slice: (from: number, to: number) => Promise<Part>
}

/** What a graph says about the data it takes. */
export type Wanted = Pick<CompiledTraining, 'exampleShape' | 'featuresDtype' | 'label'> & {
  /** A label that does not count. */
  readonly ignoreIndex?: number | undefined
}

/** A data set as the worker keeps it, for graph after graph. */
export type WorkerData = AsyncDisposable & {
  /** Throws DATA_MISMATCH unless the data has what the graph takes. */
  readonly fit: (wanted: Wanted) => FittedData
}
