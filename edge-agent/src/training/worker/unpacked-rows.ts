import { elementCount, type Tensor } from '@tributary/onnx-train/tensor'
import type { ByteFeatures } from '../trainer.ts'
import type { FittedData, Part } from './fitted-data.ts'

/** Byte features of which only the rows at hand are ever floats. */
export class UnpackedRows implements FittedData {
  readonly examples: number
  readonly #bytes: Uint8Array
  readonly #floats: Float32Array
  readonly #exampleShape: readonly number[]
  readonly #width: number
  readonly #labels: Tensor
  #unpacked = new Float32Array()

  constructor(features: ByteFeatures, exampleShape: readonly number[], labels: Tensor) {
    this.examples = labels.shape[0] ?? 0
    this.#bytes = features.bytes
    this.#floats = floatsOfBytes(features)
    this.#exampleShape = exampleShape
    this.#width = elementCount(exampleShape)
    this.#labels = labels
  }

  async choose(rows: Int32Array): Promise<Part & { readonly order: Int32Array }> {
    const { dtype, shape, data } = this.#labels
    const width = elementCount(shape.slice(1))
    const chosen = data.slice(0, rows.length * width)
    for (const [index, row] of rows.entries())
      chosen.set(data.subarray(row * width, (row + 1) * width) as never, index * width)
    const features = this.#unpack(rows.length, index => rows[index] as number)
    const labels = { dtype, shape: [rows.length, ...shape.slice(1)], data: chosen }
    return { features, labels, order: Int32Array.from(rows.keys()) }
  }

  async slice(from: number, to: number): Promise<Part> {
    return { features: this.#unpack(to - from, index => from + index), labels: rowsOf(this.#labels, from, to) }
  }

  #unpack(count: number, rowAt: (index: number) => number): Tensor {
    const width = this.#width
    if (this.#unpacked.length < count * width) this.#unpacked = new Float32Array(count * width)
    const [bytes, floats, unpacked] = [this.#bytes, this.#floats, this.#unpacked]
    for (let index = 0; index < count; index++) {
      const source = rowAt(index) * width
      const target = index * width
      for (let column = 0; column < width; column++) {
        unpacked[target + column] = floats[bytes[source + column] as number] as number
      }
    }
    return { dtype: 'float32', shape: [count, ...this.#exampleShape], data: unpacked.subarray(0, count * width) }
  }
}

/** All of them as floats, for models that take another dtype. */
export const unpack = (features: ByteFeatures): Float32Array => {
  const floats = floatsOfBytes(features)
  const values = new Float32Array(features.bytes.length)
  for (let index = 0; index < values.length; index++) values[index] = floats[features.bytes[index] as number] as number
  return values
}

/** Some rows of a tensor, as a view. */
export const rowsOf = ({ dtype, shape, data }: Tensor, from: number, to: number): Tensor => {
  const width = elementCount(shape.slice(1))
  return { dtype, shape: [to - from, ...shape.slice(1)], data: data.subarray(from * width, to * width) }
}

/** What each byte stands for. */
const floatsOfBytes = ({ scale }: ByteFeatures): Float32Array =>
  Float32Array.from({ length: 256 }, (_, byte) => byte / scale)
