import { elementCount } from '@tributary/onnx-train/tensor'
import { TrainingError } from '../training-error.ts'

/** A data set as the worker keeps it. */
export type WorkerData = { readonly features: Float32Array; readonly labels: Int32Array; readonly largestLabel: number }

export const workerData = (features: Float32Array, labels: Int32Array): WorkerData => ({
  features,
  labels,
  largestLabel: labels.reduce((largest, label) => Math.max(largest, label), -1),
})

/** Throws DATA_MISMATCH unless the data has what the graph takes. */
export const expectData = (data: WorkerData, exampleShape: readonly number[], classes: number): void => {
  const { features, labels, largestLabel } = data
  if (features.length !== labels.length * elementCount(exampleShape)) {
    throw new TrainingError(
      'DATA_MISMATCH',
      `${labels.length} examples of shape [${exampleShape.join()}] need ${labels.length * elementCount(exampleShape)} values; the data set has ${features.length}. Choose data that fits the model.`,
    )
  }
  if (largestLabel >= classes) {
    throw new TrainingError(
      'DATA_MISMATCH',
      `The data set has class ${largestLabel}, the model only 0 to ${classes - 1}. Choose data that fits the model.`,
    )
  }
}
