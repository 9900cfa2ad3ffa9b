import { ModelError } from '../../agent/job/work.ts'
import { DataError } from '../../data/data-error.ts'
import { viewOf } from '../datatype.ts'
import type { ModelProcess } from '../model-process.ts'
import type { InferenceTensor, TensorPort } from '../tensor.ts'
import { tensorFromNumbers } from '../tensor-from-numbers.ts'

/** Some rows of a data set, with their labels. */
export type LabelledRows = {
  /** Row-major [rows, …shape of one example]. */
  readonly features: Float32Array
  /** Row-major [rows, …shape of one label]. */
  readonly labels: ArrayLike<number>
  readonly rows: number
}

/** The first rows of a held-out data set, at most so many. Rejects with DataError. */
export type FirstRows = (dataset: string, most: number) => Promise<LabelledRows>

const rowsPerRun = 64

/**
 * Runs a version on rows of a data set. @returns the share of them whose class has the largest output; undefined where labels are no classes
 * @throws ModelError where numbers come out that are not finite, or the model does not take the rows
 */
export const checkDatasetRows = async (
  process: ModelProcess,
  { features, labels, rows }: LabelledRows,
): Promise<number | undefined> => {
  const { inputs, outputs } = process.description
  const [input] = inputs
  const [output] = outputs
  if (input === undefined || output === undefined || inputs.length !== 1) {
    throw new DataError(
      'FEATURES_UNUSABLE',
      `The model has ${inputs.length} inputs; a data set fills one. Record samples instead.`,
    )
  }
  const width = features.length / rows
  const fixed = input.shape[0] ?? -1
  const step = fixed === -1 ? rowsPerRun : fixed
  const classed = labels.length === rows
  let right = 0
  let seen = 0
  // A batch of fixed size takes no rest.
  for (let from = 0; from < rows && (fixed === -1 || from + step <= rows); from += step) {
    const to = Math.min(from + step, rows)
    const tensor = rowsTensor(input, features.subarray(from * width, to * width), to - from)
    const { outputs: results, finite } = await process.run([[tensor]], [output.name])
    if (!finite) throw new ModelError("The model gives numbers that are not finite for the device's own samples.")
    seen += to - from
    if (classed) right += countRight(results[0] as InferenceTensor, labels, from, to)
  }
  return classed && seen > 0 && (output.shape.at(-1) ?? 0) !== 1 ? right / seen : undefined
}

const rowsTensor = (input: TensorPort, values: Float32Array, rows: number): InferenceTensor =>
  tensorFromNumbers(input, values, [rows, values.length / rows])

const countRight = (output: InferenceTensor, labels: ArrayLike<number>, from: number, to: number): number => {
  let right = 0
  for (let row = from; row < to; row++) if (largestOf(output, row - from, to - from) === labels[row]) right++
  return right
}

/** Where the largest element of a row is. */
export const largestOf = ({ datatype, bytes }: InferenceTensor, row: number, rows: number): number => {
  const values = viewOf(datatype, bytes)
  const width = values.length / rows
  let largest = 0
  for (let at = 1; at < width; at++) {
    if ((values[row * width + at] as number) > (values[row * width + largest] as number)) largest = at
  }
  return largest
}
