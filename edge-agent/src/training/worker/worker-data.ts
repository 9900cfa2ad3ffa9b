import type { CompiledTraining } from '@tributary/onnx-train/compile-training'
import type { LossOptions } from '@tributary/onnx-train/losses/loss'
import { type DType, elementCount, type TensorData } from '@tributary/onnx-train/tensor'
import type { ByteFeatures } from '../trainer.ts'
import { TrainingError } from '../training-error.ts'
import type { FittedData } from './fitted-data.ts'
import { rowsOf, UnpackedRows, unpack } from './unpacked-rows.ts'

/** What a graph says about the data it takes. */
export type Wanted = Pick<CompiledTraining, 'exampleShape' | 'featuresDtype' | 'label'> & {
  /** A label that does not count. */
  readonly ignoreIndex?: number | undefined
}

/** A data set as the worker keeps it, in every dtype that a graph has asked for. */
export class WorkerData {
  readonly examples: number
  readonly #given: Float32Array | ByteFeatures
  readonly #features = new Map<DType, TensorData>()
  readonly #labels = new Map<DType, TensorData>()
  readonly #integers: boolean

  constructor(features: Float32Array | ByteFeatures, labels: Int32Array | Float32Array, examples: number) {
    this.examples = examples
    this.#given = features
    this.#integers = labels instanceof Int32Array
    this.#labels.set(this.#integers ? 'int32' : 'float32', labels)
  }

  /** Throws DATA_MISMATCH unless the data has what the graph takes. */
  fit({ exampleShape, featuresDtype, label, ignoreIndex }: Wanted): FittedData {
    const { examples } = this
    const given = this.#given
    expectSize('values', 'bytes' in given ? given.bytes.length : given.length, examples, exampleShape)
    if (label.kind === 'class-index' && !this.#integers) {
      mismatch('The labels are numbers; this loss takes classes, which are integers from 0.')
    }
    const truths = cast(this.#labels, label.dtype)
    expectSize('labels', truths.length, examples, label.shape)
    if (label.kind === 'class-index') expectClasses(truths as Int32Array, label.classes ?? 0, ignoreIndex)
    if (label.kind === 'binary') expectShares(truths as Float32Array)
    const labels = { dtype: label.dtype, shape: [examples, ...label.shape], data: truths }
    if ('bytes' in given && featuresDtype === 'float32') return new UnpackedRows(given, exampleShape, labels)
    if (this.#features.size === 0) this.#features.set('float32', 'bytes' in given ? unpack(given) : given)
    const values = cast(this.#features, featuresDtype)
    const features = { dtype: featuresDtype, shape: [examples, ...exampleShape], data: values }
    return {
      examples,
      choose: order => ({ features, labels, order }),
      slice: (from, to) => ({ features: rowsOf(features, from, to), labels: rowsOf(labels, from, to) }),
    }
  }
}

/** The label that a loss leaves out. */
export const ignoredLabel = (loss: LossOptions): number | undefined =>
  'ignoreIndex' in loss ? loss.ignoreIndex : undefined

/** The first tensor's values in another dtype, made once. */
const cast = (known: Map<DType, TensorData>, dtype: DType): TensorData => {
  const found = known.get(dtype)
  if (found !== undefined) return found
  const [values] = known.values() as IterableIterator<Float32Array | Int32Array>
  if (values === undefined) return mismatch('The data set is empty.')
  const made = castValues(values, dtype)
  known.set(dtype, made)
  return made
}

const castValues = (values: Float32Array | Int32Array, dtype: DType): TensorData => {
  if (dtype === 'float64') return Float64Array.from(values)
  if (dtype === 'float32') return Float32Array.from(values)
  if (values.some(value => !Number.isSafeInteger(value))) {
    mismatch(`The data set has values that are no integers; the model takes ${dtype}.`)
  }
  if (dtype === 'int64') return BigInt64Array.from(values, BigInt)
  if (dtype === 'int32') return Int32Array.from(values)
  return mismatch(`The model takes ${dtype}, which data sets are not given as. Use float32, int32 or int64.`)
}

const expectSize = (what: string, size: number, examples: number, shape: readonly number[]): void => {
  const wanted = examples * elementCount(shape)
  if (size === wanted) return
  mismatch(
    `${examples} examples of shape [${shape.join()}] need ${wanted} ${what}; the data set has ${size}. Choose data that fits the model.`,
  )
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

const mismatch = (message: string): never => {
  throw new TrainingError('DATA_MISMATCH', message)
}
