import type { TensorData } from '@tributary/onnx-train/tensor'

/** What the evaluation graph found about some examples, and their labels. */
export type Evaluated = {
  /** Row-major [examples, positions, classes], or [examples, positions] where labels are no classes. Empty unless needed. */
  readonly scores: TensorData
  /** Row-major [examples, positions]. */
  readonly labels: TensorData
  /** Mean loss of each example over its positions. */
  readonly losses: ArrayLike<number>
  /** Positions of each example that count; empty for real labels. */
  readonly counted: ArrayLike<number>
}

/** Adds up what one kind of labels is measured by. */
export type MetricCollector = {
  /** Whether `add` looks at scores: fetching them costs their memory. */
  readonly needsScores: boolean
  add(evaluated: Evaluated): void
  /** Additive integers by name; each fits int64. */
  sums(): [string, bigint][]
}

/** Which metrics are wanted, by name. */
export type Wanted = (metric: string) => boolean
