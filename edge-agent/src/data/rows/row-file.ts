import { type FileHandle, open } from 'node:fs/promises'
import { DataError } from '../data-error.ts'
import { damaged, decodeHeader, headerBytesOf, prefixBytes, type RowHeader } from './row-header.ts'
import { type Affine, byteValues, rowBytesOf } from './row-layout.ts'
import type { RowSource, Rows } from './row-source.ts'

export type RowFileOptions = {
  /** Rows are kept in memory, as they are stored, where all of them take no more. @default 0 */
  readonly memoryBytes?: number
  /** What stored values stand for. @default as the header says, for numbers themselves */
  readonly affine?: Affine | undefined
}

/** Bytes of one read of the file where rows lie side by side, and reads at once where they do not. */
const sliceBytes = 2 ** 20
const readsAtOnce = 32

/** What a file of converted examples says of itself. Throws ROWS_DAMAGED, FILE_UNREADABLE. */
export const readRowHeader = async (file: string): Promise<RowHeader> => {
  await using source = await RowFile.open(file)
  return source.header
}

/** Opens a file of converted examples, as `RowFileWriter` writes it. Throws ROWS_DAMAGED, FILE_UNREADABLE. */
export const openRowFile = (file: string, options: RowFileOptions = {}): Promise<RowFile> => RowFile.open(file, options)

/** Examples in a file of our own: fixed rows, so that any of them is one read. */
export class RowFile implements RowSource {
  readonly header: RowHeader
  readonly rowBytes: number
  readonly #file: FileHandle
  readonly #offset: number
  readonly #values: Float32Array
  readonly #affine: Affine
  /** Feature by feature, of numbers that do not stand for themselves. */
  readonly #perFeature: PerFeature | undefined
  #rows: Buffer | undefined

  private constructor(file: FileHandle, header: RowHeader, offset: number, affine: Affine | undefined) {
    this.header = header
    this.rowBytes = rowBytesOf(header)
    this.#file = file
    this.#offset = offset
    this.#affine = affine ?? header.affine
    this.#values = header.stored === 'u8' ? byteValues(this.#affine) : new Float32Array()
    this.#perFeature = header.stored === 'f32' && affine !== undefined ? perFeature(affine, header.features) : undefined
  }

  static async open(path: string, { memoryBytes = 0, affine }: RowFileOptions = {}): Promise<RowFile> {
    await using opened = new AsyncDisposableStack()
    const file = opened.use(await openFile(path))
    const { size } = await file.stat()
    const headerBytes = headerBytesOf(await readAt(file, Buffer.alloc(Math.min(prefixBytes, size)), 0))
    const offset = prefixBytes + headerBytes
    if (offset > size) throw damaged()
    const header = decodeHeader((await readAt(file, Buffer.alloc(headerBytes), prefixBytes)).toString('utf8'))
    const source = new RowFile(file, header, offset, affine)
    const dataBytes = header.examples * source.rowBytes
    if (offset + dataBytes !== size) throw damaged()
    if (dataBytes <= memoryBytes) source.#rows = await readAt(file, Buffer.allocUnsafeSlow(dataBytes), offset)
    opened.move()
    return source
  }

  get examples(): number {
    return this.header.examples
  }

  get featuresPerRow(): number {
    return this.header.features
  }

  get labelsPerRow(): number {
    return this.header.labels
  }

  get integerLabels(): boolean {
    return this.header.integerLabels
  }

  async readRows(order: Int32Array, from: number, to: number): Promise<Rows> {
    const { features, labels, integerLabels } = this.header
    const count = to - from
    const rows = {
      features: new Float32Array(count * features),
      labels: integerLabels ? new Int32Array(count * labels) : new Float32Array(count * labels),
    }
    let reads: Promise<void>[] = []
    for (let at = from; at < to; ) {
      const first = order[at] as number
      const length = this.#runLength(order, at, to)
      if (!(first >= 0 && first + length <= this.examples))
        throw new RangeError(`row ${first} of ${this.examples} examples`)
      reads.push(this.#readRun(first, length, rows, at - from))
      at += length
      if (reads.length < readsAtOnce) continue
      await Promise.all(reads)
      reads = []
    }
    await Promise.all(reads)
    return rows
  }

  /** Stored bytes of rows side by side, row-major [rows, featuresPerRow]; only of a file that stores bytes. */
  async readBytes(from: number, to: number): Promise<Uint8Array> {
    const { rowBytes } = this
    const { features, labels } = this.header
    const rows = await this.#bytes(from, to - from)
    const bytes = new Uint8Array((to - from) * features)
    for (let row = 0; row < to - from; row++) {
      const start = row * rowBytes + 4 * labels
      bytes.set(rows.subarray(start, start + features), row * features)
    }
    return bytes
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#rows = undefined
    await this.#file.close()
  }

  /** Rows from `at` that lie side by side in the file, as many as one read takes. */
  #runLength(order: Int32Array, at: number, to: number): number {
    const most = Math.min(to - at, Math.max(1, Math.floor(sliceBytes / this.rowBytes)))
    let length = 1
    while (length < most && order[at + length] === (order[at] as number) + length) length++
    return length
  }

  async #readRun(first: number, length: number, target: Rows, at: number): Promise<void> {
    const bytes = await this.#bytes(first, length)
    for (let row = 0; row < length; row++) this.#decode(bytes, row * this.rowBytes, target, at + row)
  }

  async #bytes(first: number, length: number): Promise<Buffer> {
    const { rowBytes } = this
    return (
      this.#rows?.subarray(first * rowBytes, (first + length) * rowBytes) ??
      (await readAt(this.#file, Buffer.allocUnsafeSlow(length * rowBytes), this.#offset + first * rowBytes))
    )
  }

  #decode(bytes: Buffer, position: number, { features, labels }: Rows, row: number): void {
    const { labels: labelCount, features: width, labelDtype, stored } = this.header
    for (let label = 0; label < labelCount; label++) {
      const where = position + 4 * label
      labels[row * labelCount + label] = labelDtype === 'i32' ? bytes.readInt32LE(where) : bytes.readFloatLE(where)
    }
    const start = position + 4 * labelCount
    const target = row * width
    if (stored === 'f32') {
      // Rows begin at multiples of four, and all machines that Node runs on are little-endian.
      const numbers = new Float32Array(bytes.buffer, bytes.byteOffset + start, width)
      if (this.#perFeature === undefined) features.set(numbers, target)
      else change(numbers, this.#perFeature, features, target)
      return
    }
    const values = this.#values
    const { run, shift } = this.#affine
    const entries = shift.length
    for (let feature = 0, entry = 0; feature < width; entry = (entry + 1) % entries) {
      const end = entries === 1 ? width : Math.min(feature + run, width)
      for (; feature < end; feature++)
        features[target + feature] = values[256 * entry + (bytes[start + feature] as number)] as number
    }
  }
}

type PerFeature = { readonly scale: number; readonly shift: Float64Array; readonly divisor: Float64Array }

const perFeature = ({ scale, shift, divisor, run }: Affine, features: number): PerFeature => {
  const spread = (entries: readonly number[]) =>
    Float64Array.from(
      { length: features },
      (_, feature) => entries[Math.floor(feature / run) % entries.length] as number,
    )
  return { scale, shift: spread(shift), divisor: spread(divisor) }
}

/** As `affineValue`: in float64, rounded once. */
const change = (numbers: Float32Array, { scale, shift, divisor }: PerFeature, into: Float32Array, at: number): void => {
  for (let feature = 0; feature < numbers.length; feature++) {
    const value = (numbers[feature] as number) / scale
    into[at + feature] = (value - (shift[feature] as number)) / (divisor[feature] as number)
  }
}

const openFile = async (path: string): Promise<FileHandle> => {
  try {
    return await open(path, 'r')
  } catch (cause) {
    throw new DataError('FILE_UNREADABLE', 'A file of converted examples is gone. Choose the data set again.', {
      cause,
    })
  }
}

const readAt = async (file: FileHandle, target: Buffer, position: number): Promise<Buffer> => {
  for (let filled = 0; filled < target.length; ) {
    const wanted = Math.min(target.length - filled, 2 ** 30)
    const { bytesRead } = await file.read(target, filled, wanted, position + filled)
    if (bytesRead === 0) throw damaged()
    filled += bytesRead
  }
  return target
}
