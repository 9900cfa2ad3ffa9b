import { open, readdir, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { Sha256, Uuid } from '@tributary/contracts/ids'
import type { Budget } from './budget.ts'
import { isMissing, makeFolder, removeFile, SharedFolderSync } from './durable-files.ts'
import { failpoint } from './failpoint.ts'
import { freshSalt, type LogKey, saltBytes } from './log-key.ts'
import { NoRoomError } from './no-room-error.ts'
import { type FileRange, SealedWriter } from './sealed-file.ts'

/** In front of a body: the salt of its key. A multiple of the cipher's block and of every element. */
const headBytes = 64
/** What an update takes in the log once it is accepted, at most, and its file's own block. */
const recordBytes = 8192

type Entry = { readonly device: string; readonly sha256: string; readonly salt: Buffer; readonly room: Disposable }

export type SpoolOptions = {
  readonly key: LogKey
  readonly budget: Budget
  /** Kept free on the disk for logs and sums: a body is refused before they would lack room. */
  readonly reservedBytes: number
}

/**
 * Bodies of updates of one attempt, one sealed file for each (device, sha256), written front to back. The file's length after a
 * sync is the durable prefix from which an upload resumes; a body is trusted only once it was read back and its sha256 found right.
 */
export class UpdateSpool {
  readonly #folder: string
  readonly #options: SpoolOptions
  readonly #folderSync: SharedFolderSync
  /** By device: an attempt keeps one body of each. */
  readonly #entries = new Map<string, Entry>()

  private constructor(folder: string, options: SpoolOptions) {
    this.#folder = folder
    this.#options = options
    this.#folderSync = new SharedFolderSync(folder)
  }

  /** Opens the spool's folder, made where it is missing, and counts what is there. A body without its salt was never begun. */
  static async open(folder: string, options: SpoolOptions): Promise<UpdateSpool> {
    await makeFolder(folder)
    const spool = new UpdateSpool(folder, options)
    for (const name of await readdir(folder)) {
      const [, device = '', sha256 = ''] = /^([0-9a-f-]{36})\.([0-9a-f]{64})$/.exec(name) ?? []
      const path = join(folder, name)
      const salt = Uuid.safeParse(device).success && Sha256.safeParse(sha256).success ? await readSalt(path) : null
      if (salt === null || spool.#entries.has(device)) {
        await removeFile(path)
        continue
      }
      const { size } = await stat(path)
      spool.#entries.set(device, { device, sha256, salt, room: options.budget.takeExisting(size + recordBytes) })
    }
    return spool
  }

  /** Bytes of this body that are there. */
  async received(device: string, sha256: string): Promise<number> {
    if (this.#entries.get(device)?.sha256 !== sha256) return 0
    try {
      return Math.max(0, (await stat(this.#path(device, sha256))).size - headBytes)
    } catch (error) {
      if (!isMissing(error)) throw error
      return 0
    }
  }

  /** Whether anything of a body of this device is there. */
  has(device: string): boolean {
    return this.#entries.has(device)
  }

  /**
   * Opens a body to append to it. Another body of the same device is thrown away: it was never accepted.
   * @throws NoRoomError
   */
  async append(device: string, sha256: string, totalBytes: number): Promise<SpoolWriter> {
    const known = this.#entries.get(device)
    if (known !== undefined && known.sha256 !== sha256) await this.remove(device)
    const kept = this.#entries.get(device)
    return kept === undefined ? this.#begin(device, sha256, totalBytes) : this.#resume(kept)
  }

  async #begin(device: string, sha256: string, totalBytes: number): Promise<SpoolWriter> {
    const { budget, reservedBytes } = this.#options
    const bytes = headBytes + totalBytes + recordBytes
    const { bavail, bsize } = await statfs(this.#folder)
    const room = bavail * bsize < bytes + reservedBytes ? null : budget.take(bytes)
    if (room === null) throw new NoRoomError('the spool is full')
    const entry = { device, sha256, salt: freshSalt(), room }
    this.#entries.set(device, entry)
    try {
      return await this.#beginFile(entry)
    } catch (error) {
      await this.remove(device)
      throw error
    }
  }

  async #beginFile({ device, sha256, salt }: Entry): Promise<SpoolWriter> {
    const handle = await open(this.#path(device, sha256), 'w', 0o600)
    const head = Buffer.alloc(headBytes)
    salt.copy(head)
    const file = new SealedWriter(handle, this.#options.key.file(salt), headBytes, head)
    return new SpoolWriter(file, this.#folderSync)
  }

  async #resume(entry: Entry): Promise<SpoolWriter> {
    const { device, sha256, salt } = entry
    const handle = await open(this.#path(device, sha256), 'r+')
    try {
      const { size } = await handle.stat()
      if (size < headBytes) {
        // Nothing came before the connection was lost.
        await handle.close()
        return this.#beginFile(entry)
      }
      return new SpoolWriter(new SealedWriter(handle, this.#options.key.file(salt), size), this.#folderSync)
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /**
   * Where a body lies.
   * @throws Error when it is not there
   */
  body(device: string, sha256: string, bytes: number): FileRange & { readonly seal: NonNullable<FileRange['seal']> } {
    const entry = this.#entries.get(device)
    if (entry?.sha256 !== sha256) throw new Error(`the body of device ${device} is not in the spool`)
    return { path: this.#path(device, sha256), offset: headBytes, bytes, seal: this.#options.key.file(entry.salt) }
  }

  async remove(device: string): Promise<void> {
    const entry = this.#entries.get(device)
    if (entry === undefined) return
    this.#entries.delete(device)
    await removeFile(this.#path(device, entry.sha256))
    entry.room[Symbol.dispose]()
  }

  /** Gives back the room of all bodies; their files go with the attempt's folder. */
  forget(): void {
    for (const { room } of this.#entries.values()) room[Symbol.dispose]()
    this.#entries.clear()
  }

  async removeAll(): Promise<void> {
    await this.keepOnly(() => false)
  }

  /** Removes the bodies of all devices that `isWanted` does not want. */
  async keepOnly(isWanted: (device: string) => boolean): Promise<void> {
    for (const device of [...this.#entries.keys()]) if (!isWanted(device)) await this.remove(device)
  }

  #path(device: string, sha256: string): string {
    return join(this.#folder, `${device}.${sha256}`)
  }
}

const readSalt = async (path: string): Promise<Buffer | null> => {
  await using handle = await open(path, 'r')
  const head = Buffer.alloc(headBytes)
  const { bytesRead } = await handle.read(head, 0, headBytes, 0)
  return bytesRead < headBytes ? null : head.subarray(0, saltBytes)
}

/** Appends to a body. */
export class SpoolWriter {
  readonly #file: SealedWriter
  readonly #folder: SharedFolderSync

  constructor(file: SealedWriter, folder: SharedFolderSync) {
    this.#file = file
    this.#folder = folder
  }

  /** Bytes of the body that were written. */
  get length(): number {
    return this.#file.end - headBytes
  }

  write(chunk: Uint8Array): Promise<void> {
    return this.#file.write(chunk)
  }

  async sync(): Promise<void> {
    await Promise.all([this.#file.sync(), this.#folder.sync()])
    failpoint('spool.after-sync')
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#file[Symbol.asyncDispose]()
  }
}
