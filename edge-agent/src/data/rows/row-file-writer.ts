import { type FileHandle, open } from 'node:fs/promises'
import { dataOffset, encodeHeader } from './row-header.ts'
import { featureBytesOf, type RowLayout, rowBytesOf } from './row-layout.ts'

export type RowFileContent = {
  readonly layout: RowLayout
  readonly columns?: readonly string[] | undefined
  /** Classes that are counted. @default 0 */
  readonly classes?: number
}

const bufferBytes = 2 ** 20

/** Writes a file of converted examples, one after another; it can be read once `finish` is done. */
export class RowFileWriter implements AsyncDisposable {
  readonly #file: FileHandle
  readonly #content: RowFileContent
  readonly #offset: number
  readonly #rowBytes: number
  readonly #buffer: Buffer
  readonly #classCounts: number[]
  #filled = 0
  #position: number
  #examples = 0
  #integerLabels = true
  #uncounted = false

  private constructor(file: FileHandle, content: RowFileContent) {
    const { layout, columns, classes = 0 } = content
    this.#file = file
    this.#content = content
    this.#offset = dataOffset(layout, columns, classes)
    this.#position = this.#offset
    this.#rowBytes = rowBytesOf(layout)
    this.#buffer = Buffer.alloc(Math.max(this.#rowBytes, Math.floor(bufferBytes / this.#rowBytes) * this.#rowBytes))
    this.#classCounts = Array.from({ length: classes }, () => 0)
  }

  /** The file must not exist. */
  static async create(path: string, content: RowFileContent): Promise<RowFileWriter> {
    return new RowFileWriter(await open(path, 'wx', 0o600), content)
  }

  /** Of the file, with what is not written yet. */
  get bytes(): number {
    return this.#position + this.#filled
  }

  /**
   * Adds one example: `features` from `featureAt`, labels from `labelAt`, which are copied.
   */
  async add(
    features: Uint8Array | Float32Array,
    featureAt: number,
    labels: Int32Array | Float32Array,
    labelAt: number,
  ): Promise<void> {
    if (this.#filled === this.#buffer.length) await this.#flush()
    const { layout } = this.#content
    const buffer = this.#buffer
    const start = this.#filled
    for (let label = 0; label < layout.labels; label++)
      this.#label(labels[labelAt + label] as number, start + 4 * label)
    const target = start + 4 * layout.labels
    const part = features.subarray(featureAt, featureAt + layout.features)
    if (part instanceof Float32Array) {
      new Float32Array(buffer.buffer, buffer.byteOffset + target, layout.features).set(part)
    } else {
      buffer.set(part, target)
      buffer.fill(0, target + layout.features, target + featureBytesOf(layout))
    }
    this.#filled += this.#rowBytes
    this.#examples++
  }

  /** @param skipped examples that were left out */
  async finish(skipped = 0): Promise<void> {
    await this.#flush()
    const { layout, columns } = this.#content
    const header = {
      examples: this.#examples,
      ...layout,
      affine: {
        ...layout.affine,
        shift: [...layout.affine.shift],
        divisor: [...layout.affine.divisor],
      },
      integerLabels: layout.labelDtype === 'i32' || this.#integerLabels,
      columns: columns === undefined ? null : [...columns],
      classCounts: this.#classCounts.length === 0 || this.#uncounted ? null : this.#classCounts,
      skipped,
    }
    await this.#file.write(encodeHeader(header, this.#offset), 0, this.#offset, 0)
    await this.#file.datasync()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
  }

  #label(value: number, position: number): void {
    if (this.#content.layout.labelDtype === 'i32') this.#buffer.writeInt32LE(value, position)
    else {
      this.#buffer.writeFloatLE(value, position)
      if ((Math.fround(value) | 0) !== Math.fround(value)) this.#integerLabels = false
    }
    if (this.#classCounts.length === 0) return
    if (value in this.#classCounts) (this.#classCounts[value] as number)++
    else this.#uncounted = true
  }

  async #flush(): Promise<void> {
    for (let done = 0; done < this.#filled; ) {
      const { bytesWritten } = await this.#file.write(this.#buffer, done, this.#filled - done, this.#position + done)
      done += bytesWritten
    }
    this.#position += this.#filled
    this.#filled = 0
  }
}
