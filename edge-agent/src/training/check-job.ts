import { type Examples, examplesOf, type TrainingJob } from './trainer.ts'
import { TrainingError } from './training-error.ts'

/** Most examples of a local data set: row numbers are int32. */
const maxExamples = 2 ** 31 - 1

/** Throws TrainingError SETTINGS_INVALID or DATA_MISMATCH for a job that no model could make sense of. */
export const checkTrainingJob = ({ settings, orders, data }: TrainingJob): void => {
  const { batchSize, learningRate, localEpochs } = settings
  if (!Number.isInteger(batchSize) || batchSize < 1) invalid(`The batch size is ${batchSize}. Use an integer from 1.`)
  if (!Number.isFinite(learningRate) || learningRate <= 0) {
    invalid(`The learning rate is ${learningRate}. Use a positive number.`)
  }
  if (orders.length !== localEpochs || localEpochs < 1) {
    invalid(`There are ${orders.length} orders for ${localEpochs} local epochs. Give one for each, at least one.`)
  }
  const examples = examplesOf(data)
  for (const order of orders) {
    const outside = order.find(row => row < 0 || row >= examples)
    if (outside !== undefined) invalid(`An order has row ${outside}; the data set has rows 0 to ${examples - 1}.`)
    if (order.length === 0) invalid('An order is empty. Give each local epoch at least one example.')
  }
}

/**
 * Labels as the worker takes them; whether they fit a loss shows when there is one.
 * Throws DATA_MISMATCH for an empty data set and for labels that fit no int32.
 */
export const plainLabels = (data: Examples): Int32Array | Float32Array => {
  const { labels } = data
  const examples = examplesOf(data)
  if (!Number.isInteger(examples) || examples < 1 || examples > maxExamples || labels.length % examples !== 0) {
    throw new TrainingError(
      'DATA_MISMATCH',
      `The data set has ${labels.length} labels for ${examples} examples. Use 1 to ${maxExamples} examples.`,
    )
  }
  if (!(labels instanceof BigInt64Array)) return labels
  for (const label of labels) {
    if (BigInt.asIntN(32, label) !== label) {
      throw new TrainingError('DATA_MISMATCH', `Label ${label} is not a class. Classes are counted from 0.`)
    }
  }
  return Int32Array.from(labels, Number)
}

const invalid = (message: string): never => {
  throw new TrainingError('SETTINGS_INVALID', message)
}
