import { readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { ignoreMissing, makeFolder, removeFolder, syncFolder } from '../log/durable-files.ts'
import type { LogKey } from '../log/log-key.ts'

/** Of a shard's folder on its way out. */
const removedEnding = '.removed'
const isNumber = (name: string): boolean => /^\d{1,10}$/.test(name)

/**
 * What the node keeps for each shard, by epoch: `shards/<shard>/<epoch>/…`. A shard has one epoch; data of an older one is void
 * the moment a newer lease is taken. Everything in it is sealed by the key that comes with the lease, kept in memory only.
 */
export class ShardFolders {
  readonly #root: string
  readonly #epochs = new Map<number, number>()
  readonly #keys = new Map<number, LogKey>()
  /** Newest epoch of a shard whose data was found damaged. */
  readonly #condemned = new Map<number, number>()

  private constructor(root: string) {
    this.#root = root
  }

  static async open(root: string): Promise<ShardFolders> {
    await makeFolder(root)
    const folders = new ShardFolders(root)
    const names = await readdir(root)
    for (const name of names.filter(found => found.endsWith(removedEnding))) await removeFolder(join(root, name))
    for (const shard of names.filter(isNumber)) {
      const epochs = (await readdir(join(root, shard)))
        .filter(isNumber)
        .map(Number)
        .sort((a, b) => b - a)
      const [newest, ...older] = epochs
      for (const epoch of older) await removeFolder(join(root, shard, `${epoch}`))
      if (newest !== undefined) folders.#epochs.set(Number(shard), newest)
    }
    return folders
  }

  /** Shards whose data is on disk. */
  get kept(): { shard: number; epoch: number }[] {
    return [...this.#epochs].map(([shard, epoch]) => ({ shard, epoch }))
  }

  epochOf(shard: number): number | undefined {
    return this.#epochs.get(shard)
  }

  /** The key of a shard's data; undefined where the lease has not brought it yet. */
  keyOf(shard: number): LogKey | undefined {
    return this.#keys.get(shard)
  }

  unlock(shard: number, key: LogKey): void {
    this.#keys.set(shard, key)
  }

  path(shard: number, epoch: number, ...names: string[]): string {
    return join(this.#root, `${shard}`, `${epoch}`, ...names)
  }

  /** Names of the folders below one of a shard's. */
  async names(shard: number, epoch: number, kind: string): Promise<string[]> {
    const folder = this.path(shard, epoch, kind)
    await makeFolder(folder)
    return readdir(folder)
  }

  /** The data of an epoch cannot be used any more: from now on it is neither listed nor begun again. */
  condemn(shard: number, epoch: number): void {
    if (this.#epochs.get(shard) === epoch) this.#epochs.delete(shard)
    this.#condemned.set(shard, Math.max(epoch, this.#condemned.get(shard) ?? 0))
  }

  isCondemned(shard: number, epoch: number): boolean {
    return epoch <= (this.#condemned.get(shard) ?? 0)
  }

  /** Begins an epoch; the one before is void and deleted first. */
  async begin(shard: number, epoch: number, key: LogKey): Promise<void> {
    await this.remove(shard)
    await makeFolder(this.path(shard, epoch))
    this.#epochs.set(shard, epoch)
    this.#keys.set(shard, key)
  }

  /** Removes what is kept for a shard. All at once: a crash in the middle must not leave a log that lacks a part. */
  async remove(shard: number): Promise<void> {
    this.#epochs.delete(shard)
    this.#keys.delete(shard)
    const removed = join(this.#root, `${shard}${removedEnding}`)
    await removeFolder(removed)
    await rename(join(this.#root, `${shard}`), removed).catch(ignoreMissing)
    await syncFolder(this.#root)
    await removeFolder(removed)
  }
}
