import { randomBytes } from 'node:crypto'
import { mkdir, readdir, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { renameDurably } from '../../state/atomic-file.ts'
import { DataError } from '../data-error.ts'
import { readRowHeader } from '../rows/row-file.ts'
import type { RowHeader } from '../rows/row-header.ts'
import type { Targets } from './convert.ts'

export type Part = 'all' | 'held'

/** A part of a converted data set. */
export type StoredPart = { readonly file: string; readonly header: RowHeader }
export type StoredParts = ReadonlyMap<Part, StoredPart>

const ending = '.rows'

/**
 * Converted data sets on disk, of each the newest: the name, a key of source files and declaration, the part. What is not
 * complete, not declared any more or of another key is removed.
 */
export class DatasetCache {
  readonly #folder: string
  readonly #maxBytes: number

  private constructor(folder: string, maxBytes: number) {
    this.#folder = folder
    this.#maxBytes = maxBytes
  }

  /** @param names data sets that are declared */
  static async open(folder: string, maxBytes: number, names: readonly string[]): Promise<DatasetCache> {
    const cache = new DatasetCache(folder, maxBytes)
    await mkdir(folder, { recursive: true, mode: 0o700 })
    for (const file of await readdir(folder)) {
      const [name = ''] = file.split('.')
      if (!file.endsWith(ending) || !names.includes(name))
        await rm(join(folder, file), { recursive: true, force: true })
    }
    return cache
  }

  /** The parts of a data set that was converted from these sources; undefined when it was not. */
  async find(name: string, key: string, parts: readonly Part[]): Promise<StoredParts | undefined> {
    const found = new Map<Part, StoredPart>()
    for (const part of parts) {
      const file = this.#fileOf(name, key, part)
      const header = await readRowHeader(file).catch(() => undefined)
      if (header === undefined) return undefined
      // What was used last goes last.
      await utimes(file, new Date(), new Date()).catch(() => {})
      found.set(part, { file, header })
    }
    return found
  }

  /**
   * Has the parts of a data set written, and drops what there was of it. Others are dropped where the space is needed.
   * @param write gets the files to write and the bytes they may take
   */
  async make(
    name: string,
    key: string,
    parts: readonly Part[],
    write: (targets: Targets, maxBytes: number) => Promise<void>,
  ): Promise<void> {
    await this.#remove(file => file.startsWith(`${name}.`))
    const used = await this.#usedBytes()
    try {
      await this.#write(name, key, parts, targets => write(targets, this.#maxBytes - used))
    } catch (error) {
      if (used === 0 || !(error instanceof DataError) || error.code !== 'TOO_LARGE') throw error
      await this.#remove(() => true)
      await this.#write(name, key, parts, targets => write(targets, this.#maxBytes))
    }
  }

  async #write(
    name: string,
    key: string,
    parts: readonly Part[],
    write: (targets: Targets) => Promise<void>,
  ): Promise<void> {
    const unfinished = parts.map(part => `${this.#fileOf(name, key, part)}.${randomBytes(6).toString('hex')}.tmp`)
    const [all = '', heldOut] = unfinished
    try {
      await write({ all, heldOut })
      for (const [index, part] of parts.entries())
        await renameDurably(unfinished[index] as string, this.#fileOf(name, key, part))
    } catch (error) {
      for (const file of unfinished) await rm(file, { force: true })
      throw error
    }
  }

  #fileOf(name: string, key: string, part: Part): string {
    return join(this.#folder, `${name}.${key}.${part}${ending}`)
  }

  async #remove(chosen: (file: string) => boolean): Promise<void> {
    for (const file of await readdir(this.#folder))
      if (chosen(file)) await rm(join(this.#folder, file), { force: true })
  }

  async #usedBytes(): Promise<number> {
    let bytes = 0
    for (const file of await readdir(this.#folder)) bytes += (await stat(join(this.#folder, file))).size
    return bytes
  }
}
