import { createHash, type Hash } from 'node:crypto'
import { type FileHandle, open, readdir, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { Sha256, Uuid } from '@tributary/contracts/ids'
import type { Budget } from './budget.ts'
import { ignoreMissing, isMissing, makeFolder, syncFolder } from './durable-files.ts'

const sliceBytes = 1024 * 1024
/** Kept free on the disk for logs and sums: a body is refused before they would lack room. */
const reservedBytes = 64 * 1024 * 1024

/** No room on disk for another update. */
export class SpoolFullError extends Error {
  override readonly name = 'SpoolFullError'
}

type Entry = { readonly device: string; readonly sha256: string; readonly room: Disposable }

/**
 * Bodies of updates of one attempt, one file for each (device, sha256), written front to back. The file's length after a
 * sync is the durable prefix from which an upload resumes; a body is trusted only once its sha256 was found right.
 */
export class UpdateSpool {
  readonly #folder: string
  readonly #budget: Budget
  /** By device: an attempt keeps one body of each. */
  readonly #entries = new Map<string, Entry>()

  private constructor(folder: string, budget: Budget) {
    this.#folder = folder
    this.#budget = budget
  }

  /** Opens the spool's folder, made where it is missing, and counts what is there. */
  static async open(folder: string, budget: Budget): Promise<UpdateSpool> {
    await makeFolder(folder)
    const spool = new UpdateSpool(folder, budget)
    for (const name of await readdir(folder)) {
      const [, device = '', sha256 = ''] = /^([0-9a-f-]{36})\.([0-9a-f]{64})$/.exec(name) ?? []
      if (!Uuid.safeParse(device).success || !Sha256.safeParse(sha256).success) continue
      const { size } = await stat(join(folder, name))
      spool.#entries.set(device, { device, sha256, room: budget.takeExisting(size) })
    }
    return spool
  }

  /** Bytes of this body that are there. */
  async received(device: string, sha256: string): Promise<number> {
    if (this.#entries.get(device)?.sha256 !== sha256) return 0
    try {
      return (await stat(this.#path(device, sha256))).size
    } catch (error) {
      ignoreMissing(error)
      return 0
    }
  }

  /** Whether anything of a body of this device is there. */
  has(device: string): boolean {
    return this.#entries.has(device)
  }

  /**
   * Opens a body to append to it. Another body of the same device is thrown away: it was never accepted.
   * @throws SpoolFullError
   */
  async append(device: string, sha256: string, totalBytes: number): Promise<SpoolWriter> {
    const known = this.#entries.get(device)
    if (known !== undefined && known.sha256 !== sha256) await this.remove(device)
    const path = this.#path(device, sha256)
    const isNew = !this.#entries.has(device)
    if (isNew) {
      const { bavail, bsize } = await statfs(this.#folder)
      const room = bavail * bsize < totalBytes + reservedBytes ? null : this.#budget.take(totalBytes)
      if (room === null) throw new SpoolFullError('the spool is full')
      this.#entries.set(device, { device, sha256, room })
    }
    const handle = await open(path, isNew ? 'w+' : 'r+', 0o600).catch(async (error: unknown) => {
      if (!isMissing(error)) throw error
      return open(path, 'w+', 0o600)
    })
    try {
      if (isNew) await syncFolder(this.#folder)
      const hash = createHash('sha256')
      let length = 0
      const slice = Buffer.allocUnsafe(sliceBytes)
      for (;;) {
        const { bytesRead } = await handle.read(slice, 0, sliceBytes, length)
        if (bytesRead === 0) break
        hash.update(slice.subarray(0, bytesRead))
        length += bytesRead
      }
      return new SpoolWriter(handle, hash, length)
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /** Opens a body to read ranges of it. */
  async read(device: string, sha256: string): Promise<SpoolReader> {
    return new SpoolReader(await open(this.#path(device, sha256), 'r'))
  }

  async remove(device: string): Promise<void> {
    const entry = this.#entries.get(device)
    if (entry === undefined) return
    this.#entries.delete(device)
    await rm(this.#path(device, entry.sha256), { force: true })
    entry.room[Symbol.dispose]()
  }

  /** Gives back the room of all bodies; their files go with the attempt's folder. */
  forget(): void {
    for (const { room } of this.#entries.values()) room[Symbol.dispose]()
    this.#entries.clear()
  }

  async removeAll(): Promise<void> {
    for (const device of [...this.#entries.keys()]) await this.remove(device)
  }

  #path(device: string, sha256: string): string {
    return join(this.#folder, `${device}.${sha256}`)
  }
}

/** Appends to a body and knows its sha256 so far. */
export class SpoolWriter {
  readonly #handle: FileHandle
  readonly #hash: Hash
  #length: number

  constructor(handle: FileHandle, hash: Hash, length: number) {
    this.#handle = handle
    this.#hash = hash
    this.#length = length
  }

  get length(): number {
    return this.#length
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.#hash.update(chunk)
    for (let written = 0; written < chunk.byteLength; ) {
      const at = this.#length + written
      written += (await this.#handle.write(chunk, written, chunk.byteLength - written, at)).bytesWritten
    }
    this.#length += chunk.byteLength
  }

  /** Lower-case hex. */
  sha256(): string {
    return this.#hash.copy().digest('hex')
  }

  sync(): Promise<void> {
    return this.#handle.datasync()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#handle.close()
  }
}

/** Reads ranges of a body; no more than a slice is in memory at a time. */
export class SpoolReader {
  readonly #handle: FileHandle

  constructor(handle: FileHandle) {
    this.#handle = handle
  }

  async bytes(): Promise<number> {
    return (await this.#handle.stat()).size
  }

  /** @throws Error when the file ends before */
  async range(offset: number, length: number): Promise<Uint8Array> {
    const bytes = Buffer.from(new ArrayBuffer(length))
    for (let filled = 0; filled < length; ) {
      const { bytesRead } = await this.#handle.read(bytes, filled, length - filled, offset + filled)
      if (bytesRead === 0) throw new Error(`a spooled update ends at byte ${offset + filled}`)
      filled += bytesRead
    }
    return bytes
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#handle.close()
  }
}
