import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder, removeFolder } from '../log/durable-files.ts'
import type { LogKey } from '../log/log-key.ts'

const isNumber = (name: string): boolean => /^\d{1,10}$/.test(name)

/**
 * What the node keeps for each shard, by epoch: `shards/<shard>/<epoch>/…`. A shard has one epoch; data of an older one is void
 * the moment a newer lease is taken. Everything in it is sealed by the key that comes with the lease, kept in memory only.
 */
export class ShardFolders {
  readonly #root: string
  readonly #epochs = new Map<number, number>()
  readonly #keys = new Map<number, LogKey>()

  private constructor(root: string) {
    this.#root = root
  }

  static async open(root: string): Promise<ShardFolders> {
    await makeFolder(root)
    const folders = new ShardFolders(root)
    for (const shard of (await readdir(root)).filter(isNumber)) {
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

  /** Begins an epoch; the one before is void and deleted first. */
  async begin(shard: number, epoch: number, key: LogKey): Promise<void> {
    await this.remove(shard)
    await makeFolder(this.path(shard, epoch))
    this.#epochs.set(shard, epoch)
    this.#keys.set(shard, key)
  }

  async remove(shard: number): Promise<void> {
    this.#epochs.delete(shard)
    this.#keys.delete(shard)
    await removeFolder(join(this.#root, `${shard}`))
  }
}
