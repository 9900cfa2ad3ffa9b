import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type AttemptRef, attemptKey } from '@tributary/contracts/ids'
import { renameDurably, writeAtomically } from './atomic-file.ts'
import { KeptUpdate } from './kept-update.ts'

export type UpdateStoreLimits = {
  /** Most updates kept at once; the oldest goes first. */
  readonly maxUpdates: number
  readonly maxBytes: number
}

const maxRecordBytes = 64 * 1024

/**
 * Updates that are trained but not settled, in `<state>/updates`: a record and a body for each attempt. The record is
 * written last, so that a body without one is rubbish of a crash and removed at the next start.
 */
export class UpdateStore {
  readonly #folder: string
  readonly #limits: UpdateStoreLimits
  readonly #kept = new Map<string, KeptUpdate>()

  private constructor(folder: string, limits: UpdateStoreLimits) {
    this.#folder = folder
    this.#limits = limits
  }

  /** Opens the folder and forgets whatever is damaged or unfinished in it. */
  static async open(folder: string, limits: UpdateStoreLimits): Promise<UpdateStore> {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const store = new UpdateStore(folder, limits)
    const records: KeptUpdate[] = []
    const known = new Set<string>()
    for (const name of await readdir(folder)) {
      const record = name.endsWith('.json') ? await readRecord(folder, name) : undefined
      if (record === undefined) continue
      records.push(record)
      known.add(name).add(bodyName(record.attempt))
    }
    for (const name of await readdir(folder))
      if (!known.has(name)) await rm(join(folder, name), { force: true, recursive: true })
    records.sort((a, b) => a.keptAt.localeCompare(b.keptAt))
    for (const record of records) store.#kept.set(attemptKey(record.attempt), record)
    await store.#makeRoom(0)
    return store
  }

  list(): readonly KeptUpdate[] {
    return [...this.#kept.values()]
  }

  get(attempt: AttemptRef): KeptUpdate | undefined {
    return this.#kept.get(attemptKey(attempt))
  }

  /** Where the body of a kept update is. */
  bodyFile(attempt: AttemptRef): string {
    return join(this.#folder, bodyName(attempt))
  }

  /** Keeps a body, replacing an earlier one of the same attempt. */
  async keep(
    body: Uint8Array,
    facts: Omit<KeptUpdate, 'sha256' | 'bytes' | 'keptAt' | 'receipt'>,
  ): Promise<KeptUpdate> {
    await this.drop(facts.attempt)
    await this.#makeRoom(body.byteLength)
    const record: KeptUpdate = {
      ...facts,
      sha256: createHash('sha256').update(body).digest('hex'),
      bytes: body.byteLength,
      keptAt: new Date().toISOString(),
    }
    await writeAtomically(this.bodyFile(facts.attempt), body)
    await this.#write(record)
    return record
  }

  /** Keeps a body that is a file on the same file system, durable already; it moves. Nothing of it is held in memory. */
  async keepFile(
    body: string,
    facts: Omit<KeptUpdate, 'sha256' | 'bytes' | 'keptAt' | 'receipt'>,
  ): Promise<KeptUpdate> {
    const { size: bytes } = await stat(body)
    await this.drop(facts.attempt)
    await this.#makeRoom(bytes)
    const hash = createHash('sha256')
    for await (const chunk of createReadStream(body, { highWaterMark: 2 ** 20 })) hash.update(chunk as Buffer)
    const record: KeptUpdate = { ...facts, sha256: hash.digest('hex'), bytes, keptAt: new Date().toISOString() }
    await renameDurably(body, this.bodyFile(facts.attempt))
    await this.#write(record)
    return record
  }

  /** Stores the node's receipt beside the update. */
  async addReceipt(attempt: AttemptRef, receipt: string): Promise<void> {
    const record = this.get(attempt)
    if (record !== undefined) await this.#write({ ...record, receipt })
  }

  /** Removes an update that nobody will ask for again. */
  async drop(attempt: AttemptRef): Promise<void> {
    this.#kept.delete(attemptKey(attempt))
    // The record first: what remains after a crash is a body without record.
    await rm(join(this.#folder, recordName(attempt)), { force: true })
    await rm(this.bodyFile(attempt), { force: true })
  }

  async #write(record: KeptUpdate): Promise<void> {
    await writeAtomically(join(this.#folder, recordName(record.attempt)), JSON.stringify(record))
    this.#kept.set(attemptKey(record.attempt), record)
  }

  async #makeRoom(bytes: number): Promise<void> {
    let total = bytes
    for (const record of this.#kept.values()) total += record.bytes
    for (const record of this.#kept.values()) {
      const oneMore = bytes > 0 ? 1 : 0
      if (total <= this.#limits.maxBytes && this.#kept.size + oneMore <= this.#limits.maxUpdates) return
      total -= record.bytes
      await this.drop(record.attempt)
    }
  }
}

const baseName = ({ task, round, attempt }: AttemptRef): string => `${task}-${round}-${attempt}`
const recordName = (attempt: AttemptRef): string => `${baseName(attempt)}.json`
const bodyName = (attempt: AttemptRef): string => `${baseName(attempt)}.safetensors`

const readRecord = async (folder: string, name: string): Promise<KeptUpdate | undefined> => {
  const file = join(folder, name)
  try {
    if ((await stat(file)).size > maxRecordBytes) return undefined
    const record = KeptUpdate.parse(JSON.parse(await readFile(file, 'utf8')))
    const body = await stat(join(folder, bodyName(record.attempt)))
    return name === recordName(record.attempt) && body.isFile() && body.size === record.bytes ? record : undefined
  } catch {
    // Damaged or half gone: the update is trained again if it is still wanted.
    return undefined
  }
}
