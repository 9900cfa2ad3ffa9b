import type { DataSet, TrainingJob } from './trainer.ts'
import { TrainingError } from './training-error.ts'

/** Most examples of a local data set: row numbers are int32. */
const maxExamples = 2 ** 31 - 1

/** Throws TrainingError SETTINGS_INVALID or DATA_MISMATCH for a job that no model could make sense of. */
export const checkTrainingJob = ({ settings, orders, data }: TrainingJob): void => {
  const { batchSize, learningRate, localEpochs, optimizer, loss } = settings
  if (!Number.isInteger(batchSize) || batchSize < 1) invalid(`The batch size is ${batchSize}. Use an integer from 1.`)
  if (!Number.isFinite(learningRate) || learningRate <= 0) {
    invalid(`The learning rate is ${learningRate}. Use a positive number.`)
  }
  if (optimizer !== 'sgd') invalid('The optimiser is unknown. Use sgd.')
  if (loss !== 'softmax-cross-entropy') invalid('The loss is unknown. Use softmax-cross-entropy.')
  if (orders.length !== localEpochs || localEpochs < 1) {
    invalid(`There are ${orders.length} orders for ${localEpochs} local epochs. Give one for each, at least one.`)
  }
  const examples = data.labels.length
  for (const order of orders) {
    const outside = order.find(row => row < 0 || row >= examples)
    if (outside !== undefined) invalid(`An order has row ${outside}; the data set has rows 0 to ${examples - 1}.`)
    if (order.length === 0) invalid('An order is empty. Give each local epoch at least one example.')
  }
}

/** Labels as the graphs take them. Throws DATA_MISMATCH for an empty data set and for labels that are no class. */
export const classLabels = ({ labels }: DataSet): Int32Array => {
  if (labels.length === 0 || labels.length > maxExamples) {
    throw new TrainingError('DATA_MISMATCH', `The data set has ${labels.length} examples. Use 1 to ${maxExamples}.`)
  }
  for (const label of labels) {
    if (label < 0 || label > maxExamples) {
      throw new TrainingError('DATA_MISMATCH', `Label ${label} is not a class. Classes are counted from 0.`)
    }
  }
  return labels instanceof Int32Array ? labels : Int32Array.from(labels, Number)
}

const invalid = (message: string): never => {
  throw new TrainingError('SETTINGS_INVALID', message)
}
