import type { LossOptions } from '@tributary/onnx-train/losses/loss'
import { type DType, elementCount, type TensorData } from '@tributary/onnx-train/tensor'
import { TrainingError } from '../training-error.ts'
import type { Wanted } from './fitted-data.ts'

/** The label that a loss leaves out. */
export const ignoredLabel = (loss: LossOptions): number | undefined =>
  'ignoreIndex' in loss ? loss.ignoreIndex : undefined

/** Values of a data set in the dtype that a model takes. Throws DATA_MISMATCH where they do not fit it. */
export const castValues = (values: Float32Array | Int32Array, dtype: DType): TensorData => {
  if (dtype === 'float64') return Float64Array.from(values)
  if (dtype === 'float32') return values instanceof Float32Array ? values : Float32Array.from(values)
  if (dtype === 'int32' && values instanceof Int32Array) return values
  if (values.some(value => !Number.isSafeInteger(value))) {
    mismatch(`The data set has values that are no integers; the model takes ${dtype}.`)
  }
  if (dtype === 'int64') return BigInt64Array.from(values, BigInt)
  if (dtype === 'int32') return Int32Array.from(values)
  return mismatch(`The model takes ${dtype}, which data sets are not given as. Use float32, int32 or int64.`)
}

/** Throws DATA_MISMATCH unless there are so many values for each example. */
export const expectSize = (what: string, size: number, examples: number, shape: readonly number[]): void => {
  const wanted = examples * elementCount(shape)
  if (size === wanted) return
  mismatch(
    `${examples} examples of shape [${shape.join()}] need ${wanted} ${what}; the data set has ${size}. Choose data that fits the model.`,
  )
}

/**
 * Throws DATA_MISMATCH where a loss of classes gets other numbers.
 * @returns checks labels, already cast: throws DATA_MISMATCH for one that the loss does not know
 */
export const expectLabels = (
  integers: boolean,
  label: Wanted['label'],
  ignored: number | undefined,
): ((labels: TensorData) => void) => {
  if (label.kind === 'class-index' && !integers) {
    mismatch('The labels are numbers; this loss takes classes, which are integers from 0.')
  }
  return labels => {
    if (label.kind === 'class-index') expectClasses(labels as Int32Array, label.classes ?? 0, ignored)
    if (label.kind === 'binary') expectShares(labels as Float32Array)
  }
}

const expectClasses = (labels: Int32Array, classes: number, ignored: number | undefined): void => {
  const wrong = labels.find(label => (label < 0 || label >= classes) && label !== ignored)
  if (wrong === undefined) return
  mismatch(`The data set has class ${wrong}, the model only 0 to ${classes - 1}. Choose data that fits the model.`)
}

const expectShares = (labels: Float32Array): void => {
  const wrong = labels.find(label => !(label >= 0 && label <= 1))
  if (wrong !== undefined) mismatch(`The data set has label ${wrong}; this loss takes 0 to 1.`)
}

export const mismatch = (message: string): never => {
  throw new TrainingError('DATA_MISMATCH', message)
}
