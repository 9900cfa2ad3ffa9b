import type { FeatureStatistics } from '@tributary/learning/statistics/feature-statistics'
import type { DataSource } from '../training/trainer.ts'
import { convertInProcess } from './convert/convert-process.ts'
import { DatasetCache, type Part, type StoredPart, type StoredParts } from './convert/dataset-cache.ts'
import { DataError, type DataErrorCode } from './data-error.ts'
import { DataFiles } from './data-files.ts'
import { readerOf } from './dataset-readers.ts'
import type { DatasetDeclaration } from './declarations/dataset-declaration.ts'
import { readDeclarations } from './declarations/read-declarations.ts'
import { type DescribedDataset, describeDataset } from './describe-dataset.ts'
import { affineBy, entryLayoutOf, isFederated } from './normaliser.ts'
import { memoryBytesOf, readAll } from './rows/read-all.ts'
import { openRowFile, type RowFileOptions } from './rows/row-file.ts'
import type { RowHeader } from './rows/row-header.ts'
import type { Affine } from './rows/row-layout.ts'
import type { RowSource } from './rows/row-source.ts'
import { sourceKey } from './source-stamp.ts'
import { heldOutByShare } from './split.ts'
import type { EntryLayout } from './statistics/local-statistics.ts'

export type DatasetOptions = {
  /** Most bytes of the features of one data set in memory, where it is read as a whole. */
  readonly maxBytes: number
  /** Holds converted data sets, and nothing else. */
  readonly cacheDir: string
  /** Most bytes of all converted data sets on disk. @default 16 GiB */
  readonly cacheBytes?: number
}

/** Name and count of a data set. */
export type DatasetSummary = { readonly name: string; readonly heldOut: boolean; readonly examples: number }

/** A data set in a file of rows on this device, as its sources were when it was chosen. */
export type StoredDataset = DataSource & {
  /** The file, for programs that read rows themselves; docs/datasets.md describes it. */
  readonly file: string
  readonly header: RowHeader
  /** What stored values stand for, where it is not what the header says. */
  readonly affine?: Affine
  /** Reads rows by number, in bounded memory. Throws DataError. */
  readonly open: (options?: RowFileOptions) => Promise<RowSource>
}

type Purpose = 'training' | 'evaluation'

/** Statistics that work brings with it. */
export type WorkStatistics = { readonly sha256: string; readonly values: FeatureStatistics }

export type LoadOptions = { readonly signal?: AbortSignal; readonly statistics?: WorkStatistics | undefined }

export type DescribeOptions = {
  /**
   * What may be read whole for it: `background` waits for nothing and leaves out what is not known yet, `uncounted` waits
   * for what cannot be counted otherwise, `all` converts every data set, so that schemas and histograms are known. @default background
   */
  readonly convert?: 'background' | 'uncounted' | 'all'
}

/** What a declaration was found to hold, and the sources it was found in. */
type Known = {
  readonly key: string
  readonly examples: ReadonlyMap<Part, number>
  readonly stored?: ReadonlyMap<Part, StoredDataset>
}

/** Faults that may be gone the next time, with the same files. */
const passing: ReadonlySet<DataErrorCode> = new Set(['CONVERSION_ENDED', 'FILE_CHANGED', 'TOO_LARGE'])

/** A folder of many images is looked through no more often than this, unless its data is about to be used. */
const folderLookMillis = 600_000

/** The owner's data sets: those that `datasets.json` declares, and nothing else on this device. */
export class Datasets {
  readonly #dataDir: string
  /** By the name of the data set, and by the name of its held-out part. */
  readonly #declarations: ReadonlyMap<string, DatasetDeclaration>
  readonly #options: DatasetOptions
  readonly #cache: DatasetCache
  readonly #known = new Map<string, Known>()
  readonly #folderKeys = new Map<string, { readonly key: string; readonly at: number }>()
  /** Conversions run one after another. */
  #last: Promise<unknown> = Promise.resolve()
  readonly #preparing = new Map<string, AbortController>()
  #conversions = 0
  /** By data set the key for which a schema was looked for: once is enough. */
  readonly #described = new Map<string, string>()
  /** As the last statistics made them. */
  readonly #normalised = new WeakMap<StoredDataset, { readonly sha256: string; readonly dataset: StoredDataset }>()
  /** Sources that cannot be used; they are not read again until they change. */
  readonly #unusable = new Map<string, { readonly key: string; readonly error: DataError }>()

  private constructor(
    dataDir: string,
    declarations: readonly DatasetDeclaration[],
    cache: DatasetCache,
    options: DatasetOptions,
  ) {
    this.#dataDir = dataDir
    this.#declarations = new Map(
      declarations.flatMap(declaration => [
        [declaration.name, declaration],
        ...(declaration.split === undefined ? [] : [[declaration.split.heldOut, declaration] as const]),
      ]) as [string, DatasetDeclaration][],
    )
    this.#cache = cache
    this.#options = options
  }

  /** Throws DataError. */
  static async open(dataDir: string, options: DatasetOptions): Promise<Datasets> {
    const declarations = await readDeclarations(dataDir)
    const { cacheDir, cacheBytes = 2 ** 34 } = options
    const names = declarations.map(({ name }) => name)
    return new Datasets(dataDir, declarations, await DatasetCache.open(cacheDir, cacheBytes, names), options)
  }

  /** Names and counts, without reading what need not be read. Broken ones are left out and handed to `onFault`. */
  async summaries(
    onFault: (name: string, error: Error) => void,
    options: DescribeOptions = {},
  ): Promise<DatasetSummary[]> {
    const descriptions = await this.describe(onFault, options)
    return descriptions.map(({ name, heldOut, examples }) => ({ name, heldOut, examples }))
  }

  /** Grows as conversions in the background end: `describe` then knows more. */
  get conversions(): number {
    return this.#conversions
  }

  /** What the declarations let out about each data set: see `describeDataset`. Broken ones are handed to `onFault`. */
  async describe(
    onFault: (name: string, error: Error) => void,
    { convert = 'background' }: DescribeOptions = {},
  ): Promise<DescribedDataset[]> {
    const descriptions: DescribedDataset[] = []
    for (const declaration of new Set(this.#declarations.values())) {
      try {
        const known =
          convert === 'all' ? await this.#prepare(declaration, undefined) : await this.#look(declaration, convert)
        for (const [part, examples] of known?.examples ?? [])
          descriptions.push(describeDataset(declaration, part, examples, known?.stored?.get(part)?.header))
      } catch (error) {
        onFault(declaration.name, error as Error)
      }
    }
    return descriptions
  }

  /** Whether its owner has it normalised by mean and variance of all devices; false for one that is not declared. */
  isFederated(name: string): boolean {
    const declaration = this.#declarations.get(name)
    return declaration !== undefined && isFederated(declaration)
  }

  /**
   * A data set as a model takes it, converted now where it was not yet; the same object again while its files and the statistics do
   * not change. Whoever needs it reads it whole (`read`) or by rows (`open`).
   * @param purpose held-out data is never trained on, and only held-out data is evaluated on
   * @param options `statistics` normalise it where its declaration says so, and do nothing elsewhere
   * @throws DataError, as `read` of the result does; STATISTICS_MISSING, STATISTICS_MISMATCH; the signal's reason
   */
  async load(name: string, purpose: Purpose, { signal, statistics }: LoadOptions = {}): Promise<StoredDataset> {
    const { stored, declaration } = await this.#find(name, purpose, signal)
    if (!isFederated(declaration)) return stored
    if (statistics === undefined) {
      throw new DataError(
        'STATISTICS_MISSING',
        `Data set "${name}" is normalised by mean and variance of all devices, and there are none here. The task must name them in "statistics".`,
      )
    }
    const known = this.#normalised.get(stored)
    if (known?.sha256 === statistics.sha256) return known.dataset
    const affine = affineBy(statistics.values, declaration, stored.header)
    const dataset = this.#stored(name, stored, affine)
    this.#normalised.set(stored, { sha256: statistics.sha256, dataset })
    return dataset
  }

  /** A data set as it is stored, with what federated statistics would do to it left out. Throws as `load`. */
  async loadStored(
    name: string,
    purpose: Purpose,
    { signal }: Pick<LoadOptions, 'signal'> = {},
  ): Promise<StoredDataset> {
    return (await this.#find(name, purpose, signal)).stored
  }

  /** Name of the part that a data set's split holds out; undefined where nothing is. */
  heldOutOf(name: string): string | undefined {
    const declaration = this.#declarations.get(name)
    return declaration?.name === name ? declaration.split?.heldOut : undefined
  }

  /**
   * A data set to find mean and variance of, and which of its features share an entry.
   * @throws DataError NOT_FEDERATED where its owner does not have it normalised by them, STATISTICS_MISMATCH, and as `load`
   */
  async loadToMeasure(
    name: string,
    { entries, signal }: Pick<LoadOptions, 'signal'> & { readonly entries: number },
  ): Promise<{ readonly dataset: StoredDataset; readonly layout: EntryLayout }> {
    const { stored, declaration } = await this.#find(name, 'training', signal)
    if (isFederated(declaration)) return { dataset: stored, layout: entryLayoutOf(declaration, stored.header, entries) }
    throw new DataError(
      'NOT_FEDERATED',
      `Data set "${name}" is not declared "normalise": { "by": "federated" }: mean and variance of it are not found.`,
    )
  }

  async #find(
    name: string,
    purpose: Purpose,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly stored: StoredDataset; readonly declaration: DatasetDeclaration }> {
    const declaration = this.#declarations.get(name)
    if (declaration === undefined)
      throw new DataError('DATASET_UNKNOWN', `No data set "${name}" is declared on this device.`)
    const part: Part = declaration.name === name ? 'all' : 'held'
    const heldOut = part === 'held' || declaration.heldOut
    if (heldOut !== (purpose === 'evaluation')) {
      const kind = heldOut ? 'held out' : 'not held out'
      throw new DataError('HELD_OUT', `Data set "${name}" is ${kind}: it does not serve for ${purpose}.`)
    }
    // Nobody waits for what is only to be told.
    for (const [other, controller] of this.#preparing)
      if (other !== declaration.name) controller.abort(new Error('a job needs another data set first'))
    const { stored } = await this.#prepare(declaration, signal)
    const found = stored?.get(part)
    if (found !== undefined) return { stored: found, declaration }
    throw new DataError('FILE_CHANGED', `The files of data set "${name}" change too often. Try again when they rest.`)
  }

  /** Sizes of a declaration's parts; undefined where they are not known before a conversion, which is then begun. */
  async #look(declaration: DatasetDeclaration, convert: 'background' | 'uncounted'): Promise<Known | undefined> {
    const { name, split } = declaration
    const reader = readerOf(declaration)
    await using files = DataFiles.of(this.#dataDir)
    const key = await this.#key(declaration, files, folderLookMillis)
    this.#throwIfUnusable(name, key)
    const known = this.#known.get(name)
    if (known?.key === key && known.stored !== undefined) return known
    const stored = await this.#cache.find(name, key, partsOf(declaration))
    if (stored !== undefined) return this.#remember(declaration, key, stored)
    if (convert === 'background' && declaration.tell.length > 0 && this.#described.get(name) !== key) {
      this.#begin(declaration, () => this.#described.set(name, key))
    }
    if (known?.key === key) return known
    if (reader.apart === true || (split !== undefined && 'column' in split)) {
      if (convert === 'uncounted') return this.#prepare(declaration, undefined)
      this.#begin(declaration)
      return undefined
    }
    const examples = await reader.measure(files)
    const sizes = new Map<Part, number>([['all', examples]])
    if (split !== undefined) {
      const chosen = heldOutByShare(split)
      let heldOut = 0
      for (let row = 0; row < examples; row++) if (chosen(row)) heldOut++
      sizes.set('held', heldOut).set('all', examples - heldOut)
    }
    const measured = { key, examples: sizes }
    this.#known.set(name, measured)
    return measured
  }

  /**
   * Converts a data set in the background, unless a job needs another one; its fault shows at the next look.
   * @param onEnd called once it was converted, or cannot be
   */
  #begin(declaration: DatasetDeclaration, onEnd: () => void = () => {}): void {
    const { name } = declaration
    if (this.#preparing.has(name)) return
    const controller = new AbortController()
    this.#preparing.set(name, controller)
    void this.#prepare(declaration, controller.signal)
      .catch(() => {})
      .finally(() => {
        this.#preparing.delete(name)
        if (controller.signal.aborted) return
        onEnd()
        this.#conversions += 1
      })
  }

  #prepare(declaration: DatasetDeclaration, signal: AbortSignal | undefined): Promise<Known> {
    const next = this.#last.then(() => this.#convert(declaration, signal))
    this.#last = next.catch(() => {})
    return next
  }

  async #convert(declaration: DatasetDeclaration, signal: AbortSignal | undefined): Promise<Known> {
    signal?.throwIfAborted()
    const { name } = declaration
    const parts = partsOf(declaration)
    const key = await this.#freshKey(declaration)
    const known = this.#known.get(name)
    const found = await this.#cache.find(name, key, parts)
    if (found !== undefined) return known?.key === key && known.stored ? known : this.#remember(declaration, key, found)
    this.#throwIfUnusable(name, key)
    await this.#cache.make(name, key, parts, async (targets, maxBytes) => {
      await convertInProcess({ declaration, dataDir: this.#dataDir, targets, maxBytes }, { signal }).catch(error => {
        if (error instanceof DataError && !passing.has(error.code)) this.#unusable.set(name, { key, error })
        throw error
      })
      if ((await this.#freshKey(declaration)) === key) return
      throw new DataError(
        'FILE_CHANGED',
        `The files of data set "${name}" changed while they were read. They are read again next time.`,
      )
    })
    const made = await this.#cache.find(name, key, parts)
    if (made === undefined) throw new DataError('ROWS_DAMAGED', `Data set "${name}" was converted, but cannot be read.`)
    return this.#remember(declaration, key, made)
  }

  #throwIfUnusable(name: string, key: string): void {
    const known = this.#unusable.get(name)
    if (known?.key === key) throw known.error
    this.#unusable.delete(name)
  }

  async #freshKey(declaration: DatasetDeclaration): Promise<string> {
    await using files = DataFiles.of(this.#dataDir)
    return this.#key(declaration, files, 0)
  }

  async #key(declaration: DatasetDeclaration, files: DataFiles, freshMillis: number): Promise<string> {
    const reader = readerOf(declaration)
    const last = this.#folderKeys.get(declaration.name)
    if (last !== undefined && performance.now() - last.at < freshMillis) return last.key
    const key = await sourceKey(reader, declaration, files)
    if (reader.folder !== undefined) this.#folderKeys.set(declaration.name, { key, at: performance.now() })
    return key
  }

  #remember(declaration: DatasetDeclaration, key: string, parts: StoredParts): Known {
    const known = {
      key,
      examples: new Map([...parts].map(([part, { header }]) => [part, header.examples])),
      stored: new Map([...parts].map(([part, stored]) => [part, this.#stored(declaration.name, stored)])),
    }
    this.#known.set(declaration.name, known)
    return known
  }

  #stored(name: string, { file, header }: StoredPart, affine?: Affine): StoredDataset {
    const { maxBytes } = this.#options
    const bytes = header.examples * memoryBytesOf(header, affine)
    return {
      examples: header.examples,
      file,
      header,
      ...(affine === undefined ? {} : { affine }),
      open: options => openRowFile(file, { ...options, affine }),
      read: async () => {
        if (bytes <= maxBytes) return readAll(file, affine)
        throw new DataError(
          'TOO_LARGE',
          `Data set "${name}" takes ${bytes} bytes in memory, more than the ${maxBytes} allowed. Raise MAX_DATASET_BYTES or split it.`,
        )
      },
    }
  }
}

const partsOf = ({ split }: DatasetDeclaration): readonly Part[] => (split === undefined ? ['all'] : ['all', 'held'])
