import type { FileHandle } from 'node:fs/promises'
import type { DataSet } from '../training/trainer.ts'
import { DataError } from './data-error.ts'
import { type DatasetDeclaration, readDeclarations } from './declarations.ts'
import { type IdxHeader, readIdxData, readIdxHeader } from './idx.ts'
import { LoadedData } from './loaded-data.ts'
import { openDataFile } from './open-data-file.ts'

export type DatasetOptions = {
  /** Most bytes of the features of one data set in memory. */
  readonly maxBytes: number
  /** Data that was read is kept for the next round so long. */
  readonly idleSeconds: number
}

/** What leaves the device about a data set. */
export type DatasetSummary = { readonly name: string; readonly heldOut: boolean; readonly examples: number }

type OpenPair = { readonly images: FileHandle; readonly labels: FileHandle }

/** The owner's data sets: those that `datasets.json` declares, and nothing else on this device. */
export class Datasets {
  readonly #dataDir: string
  readonly #declarations: ReadonlyMap<string, DatasetDeclaration>
  readonly #options: DatasetOptions
  readonly #loaded: LoadedData

  private constructor(dataDir: string, declarations: readonly DatasetDeclaration[], options: DatasetOptions) {
    this.#dataDir = dataDir
    this.#declarations = new Map(declarations.map(declaration => [declaration.name, declaration]))
    this.#options = options
    this.#loaded = new LoadedData(options.idleSeconds)
  }

  /** Throws DataError. */
  static async open(dataDir: string, options: DatasetOptions): Promise<Datasets> {
    return new Datasets(dataDir, await readDeclarations(dataDir), options)
  }

  /** Names and counts, from headers only. Broken ones are left out and handed to `onFault`. */
  async summaries(onFault: (name: string, error: Error) => void): Promise<DatasetSummary[]> {
    const summaries: DatasetSummary[] = []
    for (const declaration of this.#declarations.values()) {
      try {
        const examples = await this.#open(declaration, async files => (await headersOf(files, declaration)).examples)
        summaries.push({ name: declaration.name, heldOut: declaration.heldOut, examples })
      } catch (error) {
        onFault(declaration.name, error as Error)
      }
    }
    return summaries
  }

  /**
   * Reads a data set whole; the same object again while its files do not change.
   * @param purpose held-out data is never trained on, and only held-out data is evaluated on
   * @throws DataError
   */
  async load(name: string, purpose: 'training' | 'evaluation'): Promise<DataSet> {
    const declaration = this.#declarations.get(name)
    if (declaration === undefined)
      throw new DataError('DATASET_UNKNOWN', `No data set "${name}" is declared on this device.`)
    if (declaration.heldOut !== (purpose === 'evaluation')) {
      const kind = declaration.heldOut ? 'held out' : 'not held out'
      throw new DataError('HELD_OUT', `Data set "${name}" is ${kind}: it does not serve for ${purpose}.`)
    }
    return this.#open(declaration, async files => {
      const stamp = await stampOf(files)
      return this.#loaded.get(name, stamp) ?? this.#loaded.put(name, stamp, await this.#read(files, declaration))
    })
  }

  async #read(files: OpenPair, declaration: DatasetDeclaration): Promise<DataSet> {
    const { images, labels } = await headersOf(files, declaration)
    const bytes = images.dataBytes * Float32Array.BYTES_PER_ELEMENT
    if (bytes > this.#options.maxBytes) {
      throw new DataError(
        'TOO_LARGE',
        `Data set "${declaration.name}" takes ${bytes} bytes in memory, more than the ${this.#options.maxBytes} allowed. Raise MAX_DATASET_BYTES or split it.`,
      )
    }
    const pixels = await readIdxData(files.images, images, declaration.images)
    const features = new Float32Array(pixels.length)
    for (let i = 0; i < pixels.length; i += 1) features[i] = (pixels[i] as number) / declaration.scale
    return { features, labels: Int32Array.from(await readIdxData(files.labels, labels, declaration.labels)) }
  }

  async #open<Result>(declaration: DatasetDeclaration, use: (files: OpenPair) => Promise<Result>): Promise<Result> {
    await using images = await openDataFile(this.#dataDir, declaration.images)
    await using labels = await openDataFile(this.#dataDir, declaration.labels)
    return await use({ images, labels })
  }
}

const headersOf = async (
  files: OpenPair,
  declaration: DatasetDeclaration,
): Promise<{ images: IdxHeader; labels: IdxHeader; examples: number }> => {
  const images = await readIdxHeader(files.images, declaration.images)
  const labels = await readIdxHeader(files.labels, declaration.labels)
  if (labels.shape.length !== 1) {
    throw new DataError(
      'IDX_MALFORMED',
      `${declaration.labels}: labels have one axis, this file has ${labels.shape.length}.`,
    )
  }
  const [examples = 0] = images.shape
  if (labels.shape[0] !== examples) {
    throw new DataError(
      'COUNTS_DIFFER',
      `${declaration.images} has ${examples} examples, ${declaration.labels} has ${labels.shape[0]}. Give files that belong together.`,
    )
  }
  return { images, labels, examples }
}

/** Changes when a file does. */
const stampOf = async ({ images, labels }: OpenPair): Promise<string> =>
  (await Promise.all([images.stat(), labels.stat()]))
    .map(({ ino, size, mtimeMs }) => `${ino}:${size}:${mtimeMs}`)
    .join()
