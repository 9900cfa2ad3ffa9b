import type { Tensor } from '@tributary/onnx-train/tensor'

/** Features and labels as a graph takes them; both with the examples as first axis. */
export type Part = { readonly features: Tensor; readonly labels: Tensor }

/** A data set that fits a graph. What it hands out holds until it is asked again. */
export type FittedData = {
  readonly examples: number
  /** Features and labels of which `order`, int32, chooses rows: the given ones of the data set. */
  readonly choose: (rows: Int32Array) => Part & { readonly order: Int32Array }
  /** Rows from `from` to before `to`. */
  readonly slice: (from: number, to: number) => Part
}
