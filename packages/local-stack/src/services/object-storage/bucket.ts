import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { moveDurably, writeDurably } from './durable-file.ts'
import { KeyLocks } from './key-locks.ts'
import { ObjectRecord } from './object-record.ts'
import { StorageError } from './storage-error.ts'

/** `If-None-Match` and `If-Match` of a write. */
export interface WriteCondition {
  readonly ifNoneMatch: string | undefined
  readonly ifMatch: string | undefined
}

/**
 * The objects of one bucket: `data/<uuid>` holds bytes, `objects/<sha256 of the key>.json` names the data of a key; writing that
 * file is the moment at which a change takes effect. Keys never become paths. The index of keys is in memory.
 */
export class Bucket {
  readonly name: string
  readonly folder: string
  readonly locks = new KeyLocks()
  readonly #records = new Map<string, ObjectRecord>()
  #sortedKeys: string[] | undefined

  private constructor(folder: string, name: string) {
    this.name = name
    this.folder = folder
  }

  get incoming(): string {
    return join(this.folder, 'incoming')
  }

  /** Opens a bucket's folder, reads its index and removes what a crash left. */
  static async open(folder: string, bucketName: string): Promise<Bucket> {
    const bucket = new Bucket(folder, bucketName)
    for (const name of ['objects', 'data', 'incoming', 'uploads'])
      await mkdir(join(folder, name), { recursive: true, mode: 0o700 })
    const used = new Set<string>()
    for (const name of await readdir(join(folder, 'objects'))) {
      const file = join(folder, 'objects', name)
      if (!name.endsWith('.json')) await rm(file, { force: true })
      else {
        const record = ObjectRecord.parse(JSON.parse(await readFile(file, 'utf8')))
        bucket.#records.set(record.key, record)
        for (const segment of record.segments) used.add(segment.file)
      }
    }
    for (const name of await readdir(bucket.incoming)) await rm(join(bucket.incoming, name), { force: true })
    for (const name of await readdir(join(folder, 'data')))
      if (!used.has(name)) await rm(join(folder, 'data', name), { force: true })
    return bucket
  }

  find(key: string): ObjectRecord | undefined {
    return this.#records.get(key)
  }

  /** @throws StorageError NoSuchKey */
  get(key: string): ObjectRecord {
    const record = this.#records.get(key)
    if (!record) throw new StorageError('NoSuchKey', 'The specified key does not exist.')
    return record
  }

  /** In the order of their UTF-8 bytes, as S3 lists them. */
  sortedKeys(): readonly string[] {
    this.#sortedKeys ??= [...this.#records.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    return this.#sortedKeys
  }

  /** @throws StorageError PreconditionFailed, NoSuchKey */
  check(key: string, condition: WriteCondition): void {
    const found = this.#records.get(key)
    if (condition.ifNoneMatch !== undefined) {
      if (condition.ifNoneMatch.trim() !== '*')
        throw new StorageError('NotImplemented', 'a write takes only If-None-Match: *')
      if (found)
        throw new StorageError('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold')
    }
    if (condition.ifMatch !== undefined) {
      if (!found) throw new StorageError('NoSuchKey', 'The specified key does not exist.')
      if (!matches(condition.ifMatch, found.etag)) {
        throw new StorageError('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold')
      }
    }
  }

  /** Makes received files the object of this key; they are durable already. */
  async put(record: ObjectRecord, files: readonly string[], condition: WriteCondition): Promise<void> {
    await this.locks.run(record.key, async () => {
      this.check(record.key, condition)
      for (const file of files) await moveDurably(file, join(this.folder, 'data', basename(file)))
      const before = this.#records.get(record.key)
      await writeDurably(this.#recordFile(record.key), JSON.stringify(record))
      this.#records.set(record.key, record)
      if (before) await this.#removeData(before)
      else this.#sortedKeys = undefined
    })
  }

  async delete(key: string): Promise<void> {
    await this.locks.run(key, async () => {
      const record = this.#records.get(key)
      if (!record) return
      await rm(this.#recordFile(key), { force: true })
      this.#records.delete(key)
      this.#sortedKeys = undefined
      await this.#removeData(record)
    })
  }

  /** The bytes from `start` to `end` (exclusive). */
  async *read(record: ObjectRecord, start: number, end: number): AsyncGenerator<Buffer> {
    let offset = 0
    for (const { file, bytes } of record.segments) {
      const from = Math.max(start - offset, 0)
      const to = Math.min(end - offset, bytes)
      if (from < to)
        yield* createReadStream(join(this.folder, 'data', file), {
          start: from,
          end: to - 1,
          highWaterMark: 256 * 1024,
        })
      offset += bytes
    }
  }

  #recordFile(key: string): string {
    return join(this.folder, 'objects', `${createHash('sha256').update(key).digest('hex')}.json`)
  }

  async #removeData(record: ObjectRecord): Promise<void> {
    for (const { file } of record.segments) await rm(join(this.folder, 'data', file), { force: true })
  }
}

/** A list of entity tags, or `*`. */
export function matches(header: string, etag: string): boolean {
  return header
    .split(',')
    .some(tag => tag.trim() === '*' || tag.trim().replace(/^W\//, '').replaceAll('"', '') === etag)
}
