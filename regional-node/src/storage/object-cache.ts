import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { TributaryError } from '@tributary/contracts/errors'
import { type ObjectRef, Sha256 } from '@tributary/contracts/ids'
import { isMissing, makeFolder } from '../log/durable-files.ts'
import type { ObjectStore } from './object-store.ts'

/** An object that stays on disk until disposed. */
export type CachedObject = Disposable & { readonly path: string; readonly sha256: string; readonly bytes: number }

type Kept = { readonly bytes: number; pins: number; usedAt: number; checked: boolean }

/**
 * Objects of models on disk, by sha256: fetched once however many devices ask, verified before they get their name, thrown
 * away by last use when there is no room. What is pinned stays.
 */
export class ObjectCache {
  readonly #folder: string
  readonly #store: ObjectStore
  readonly #mostBytes: number
  readonly #kept = new Map<string, Kept>()
  readonly #fetching = new Map<string, Promise<void>>()
  #uses = 0

  private constructor(folder: string, store: ObjectStore, mostBytes: number) {
    this.#folder = folder
    this.#store = store
    this.#mostBytes = mostBytes
  }

  static async open(folder: string, store: ObjectStore, mostBytes: number): Promise<ObjectCache> {
    await makeFolder(folder)
    const cache = new ObjectCache(folder, store, mostBytes)
    const found: { name: string; size: number; mtimeMs: number }[] = []
    for (const name of await readdir(folder)) {
      if (!Sha256.safeParse(name).success) await rm(join(folder, name), { force: true })
      else {
        const { size, mtimeMs } = await stat(join(folder, name))
        found.push({ name, size, mtimeMs })
      }
    }
    for (const { name, size } of found.sort((a, b) => a.mtimeMs - b.mtimeMs)) {
      cache.#kept.set(name, { bytes: size, pins: 0, usedAt: cache.#tick(), checked: false })
    }
    return cache
  }

  get usedBytes(): number {
    return [...this.#kept.values()].reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /** A pinned object that is on disk already, or null. */
  peek(sha256: string): CachedObject | null {
    const kept = this.#kept.get(sha256)
    return kept?.checked ? this.#pin(sha256, kept) : null
  }

  /**
   * The object, fetched where it is not on disk yet.
   * @throws TributaryError CHECKSUM_MISMATCH when storage holds other bytes, UNAVAILABLE when there is no room
   * @throws ObjectMissingError
   */
  async acquire(object: ObjectRef, signal: AbortSignal): Promise<CachedObject> {
    for (;;) {
      const running = this.#fetching.get(object.sha256)
      if (running !== undefined) {
        await running.catch(() => {})
        signal.throwIfAborted()
        continue
      }
      const kept = this.#kept.get(object.sha256)
      if (kept?.checked) return this.#pin(object.sha256, kept)
      const work = kept === undefined ? this.#fetch(object, signal) : this.#check(object.sha256, kept)
      this.#fetching.set(object.sha256, work)
      try {
        await work
      } finally {
        this.#fetching.delete(object.sha256)
      }
    }
  }

  #pin(sha256: string, kept: Kept): CachedObject {
    kept.pins += 1
    kept.usedAt = this.#tick()
    const path = join(this.#folder, sha256)
    const now = new Date()
    void utimes(path, now, now).catch(() => {})
    let pinned = 1
    return {
      path,
      sha256,
      bytes: kept.bytes,
      [Symbol.dispose]: () => {
        kept.pins -= pinned
        pinned = 0
      },
    }
  }

  // Files of before the start are hashed once: a disk may have forgotten what it was given.
  async #check(sha256: string, kept: Kept): Promise<void> {
    const path = join(this.#folder, sha256)
    const hash = createHash('sha256')
    try {
      for await (const chunk of createReadStream(path)) hash.update(chunk)
    } catch (error) {
      if (!isMissing(error)) throw error
    }
    if (hash.digest('hex') === sha256) {
      kept.checked = true
      return
    }
    this.#kept.delete(sha256)
    await rm(path, { force: true })
  }

  async #fetch({ objectKey, sha256, bytes }: ObjectRef, signal: AbortSignal): Promise<void> {
    await this.#makeRoom(bytes)
    const kept: Kept = { bytes, pins: 1, usedAt: this.#tick(), checked: false }
    const path = join(this.#folder, sha256)
    const draft = `${path}.part`
    try {
      const hash = createHash('sha256')
      let length = 0
      {
        await using handle = await open(draft, 'w', 0o600)
        for await (const chunk of await this.#store.read(objectKey, signal)) {
          length += chunk.byteLength
          if (length > bytes) break
          hash.update(chunk)
          await handle.writeFile(chunk)
        }
        await handle.sync()
      }
      if (length !== bytes || hash.digest('hex') !== sha256) {
        throw new TributaryError('CHECKSUM_MISMATCH', {
          detail: `object ${objectKey} does not hold the ${bytes} bytes of sha256 ${sha256}`,
        })
      }
      await rename(draft, path)
      kept.pins = 0
      kept.checked = true
      this.#kept.set(sha256, kept)
    } finally {
      await rm(draft, { force: true })
    }
  }

  async #makeRoom(bytes: number): Promise<void> {
    const idle = [...this.#kept].filter(([, { pins }]) => pins === 0).sort(([, a], [, b]) => a.usedAt - b.usedAt)
    while (this.usedBytes + bytes > this.#mostBytes) {
      const [sha256] = idle.shift() ?? []
      if (sha256 === undefined) {
        throw new TributaryError('UNAVAILABLE', { detail: `no room for ${bytes} bytes of a model in the cache` })
      }
      this.#kept.delete(sha256)
      await rm(join(this.#folder, sha256), { force: true })
    }
  }

  #tick(): number {
    this.#uses += 1
    return this.#uses
  }
}
