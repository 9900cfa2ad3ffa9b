import type { DType, TensorData } from '@tributary/onnx-train/tensor'
import type { ByteFeatures } from '../trainer.ts'
import { castValues, expectLabels, expectSize, mismatch } from './data-checks.ts'
import type { FittedData, Wanted, WorkerData } from './fitted-data.ts'
import { rowsOf, UnpackedRows, unpack } from './unpacked-rows.ts'

/** A data set in memory, in every dtype that a graph has asked for. */
export class DataInMemory implements WorkerData {
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

  fit({ exampleShape, featuresDtype, label, ignoreIndex }: Wanted): FittedData {
    const { examples } = this
    const given = this.#given
    expectSize('values', 'bytes' in given ? given.bytes.length : given.length, examples, exampleShape)
    const expected = expectLabels(this.#integers, label, ignoreIndex)
    const truths = cast(this.#labels, label.dtype)
    expectSize('labels', truths.length, examples, label.shape)
    expected(truths)
    const labels = { dtype: label.dtype, shape: [examples, ...label.shape], data: truths }
    if ('bytes' in given && featuresDtype === 'float32') return new UnpackedRows(given, exampleShape, labels)
    if (this.#features.size === 0) this.#features.set('float32', 'bytes' in given ? unpack(given) : given)
    const values = cast(this.#features, featuresDtype)
    const features = { dtype: featuresDtype, shape: [examples, ...exampleShape], data: values }
    return {
      examples,
      choose: async order => ({ features, labels, order }),
      slice: async (from, to) => ({ features: rowsOf(features, from, to), labels: rowsOf(labels, from, to) }),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

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
