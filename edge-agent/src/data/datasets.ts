import type { FileHandle } from 'node:fs/promises'
import type { DataSource, Examples } from '../training/trainer.ts'
import { type ByteSource, fileSource } from './byte-source.ts'
import { DataError } from './data-error.ts'
import type { DatasetReader, DatasetSize } from './dataset-reader.ts'
import { readerOf } from './dataset-readers.ts'
import { type DatasetDeclaration, readDeclarations } from './declarations.ts'
import { openDataFile } from './open-data-file.ts'

export type DatasetOptions = {
  /** Most bytes of the features of one data set in memory. */
  readonly maxBytes: number
}

/** What leaves the device about a data set. */
export type DatasetSummary = { readonly name: string; readonly heldOut: boolean; readonly examples: number }

/** A data set as its files were when they were last looked at. */
type Measured = DatasetSize & { readonly stamp: string; readonly source: DataSource }

/** The owner's data sets: those that `datasets.json` declares, and nothing else on this device. */
export class Datasets {
  readonly #dataDir: string
  readonly #declarations: ReadonlyMap<string, DatasetDeclaration>
  readonly #options: DatasetOptions
  readonly #measured = new Map<string, Measured>()

  private constructor(dataDir: string, declarations: readonly DatasetDeclaration[], options: DatasetOptions) {
    this.#dataDir = dataDir
    this.#declarations = new Map(declarations.map(declaration => [declaration.name, declaration]))
    this.#options = options
  }

  /** Throws DataError. */
  static async open(dataDir: string, options: DatasetOptions): Promise<Datasets> {
    return new Datasets(dataDir, await readDeclarations(dataDir), options)
  }

  /** Names and counts, without reading what need not be read. Broken ones are left out and handed to `onFault`. */
  async summaries(onFault: (name: string, error: Error) => void): Promise<DatasetSummary[]> {
    const summaries: DatasetSummary[] = []
    for (const declaration of this.#declarations.values()) {
      try {
        const { examples } = await this.#measure(declaration)
        summaries.push({ name: declaration.name, heldOut: declaration.heldOut, examples })
      } catch (error) {
        onFault(declaration.name, error as Error)
      }
    }
    return summaries
  }

  /**
   * A data set, to be read by whoever needs it; the same object again while its files do not change.
   * @param purpose held-out data is never trained on, and only held-out data is evaluated on
   * @throws DataError, as `read` of the result does
   */
  async load(name: string, purpose: 'training' | 'evaluation'): Promise<DataSource> {
    const declaration = this.#declarations.get(name)
    if (declaration === undefined)
      throw new DataError('DATASET_UNKNOWN', `No data set "${name}" is declared on this device.`)
    if (declaration.heldOut !== (purpose === 'evaluation')) {
      const kind = declaration.heldOut ? 'held out' : 'not held out'
      throw new DataError('HELD_OUT', `Data set "${name}" is ${kind}: it does not serve for ${purpose}.`)
    }
    const { source, bytes } = await this.#measure(declaration)
    if (bytes > this.#options.maxBytes) {
      throw new DataError(
        'TOO_LARGE',
        `Data set "${name}" takes ${bytes} bytes in memory, more than the ${this.#options.maxBytes} allowed. Raise MAX_DATASET_BYTES or split it.`,
      )
    }
    return source
  }

  async #measure(declaration: DatasetDeclaration): Promise<Measured> {
    const { name } = declaration
    return this.#open(declaration, async (reader, sources, stamp) => {
      const known = this.#measured.get(name)
      if (known?.stamp === stamp) return known
      const size = await reader.measure(sources)
      const source = { examples: size.examples, read: () => this.#read(declaration, stamp) }
      const measured = { ...size, stamp, source }
      this.#measured.set(name, measured)
      return measured
    })
  }

  #read(declaration: DatasetDeclaration, stamp: string): Promise<Examples> {
    return this.#open(declaration, (reader, sources, now) => {
      if (now === stamp) return reader.read(sources)
      const changed = `The files of data set "${declaration.name}" changed since it was chosen. It is read again next time.`
      throw new DataError('FILE_CHANGED', changed)
    })
  }

  async #open<Result>(
    declaration: DatasetDeclaration,
    use: (reader: DatasetReader, sources: readonly ByteSource[], stamp: string) => Promise<Result>,
  ): Promise<Result> {
    const reader = readerOf(declaration)
    await using files = new AsyncDisposableStack()
    const sources: ByteSource[] = []
    const stamps: string[] = []
    for (const name of reader.files) {
      const file = files.use(await openDataFile(this.#dataDir, name))
      sources.push(await fileSource(file, name))
      stamps.push(await stampOf(file))
    }
    return await use(reader, sources, stamps.join())
  }
}

/** Changes when the file does. */
const stampOf = async (file: FileHandle): Promise<string> => {
  const { ino, size, mtimeMs } = await file.stat()
  return `${ino}:${size}:${mtimeMs}`
}
