import { open, readdir, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { Sha256, Uuid } from '@tributary/contracts/ids'
import { BodySegment, BodySegments, readSegment, segmentNumber } from './body-segment.ts'
import { Budget } from './budget.ts'
import { discardMessage } from './discard.ts'
import { isMissing, makeFolder, removeFile, SharedFolderSync } from './durable-files.ts'
import { failpoint } from './failpoint.ts'
import { type FileKey, type LogKey, type Seal, saltBytes } from './log-key.ts'
import { NoRoomError } from './no-room-error.ts'
import { type FileRange, SealedWriter } from './sealed-file.ts'
import { type SpoolWriter, WaitingBody } from './waiting-body.ts'

/** In front of a body in a file of its own: the salt of its key. A multiple of the cipher's block and of every element. */
const headBytes = 64
/** What an update takes in the log once it is accepted, at most, and its file's own block. */
const recordBytes = 8192
/** Bodies up to here share files, as long as they come in one call. */
const smallBytes = 512 * 1024
/** What of them may wait in memory until they are whole; bodies beyond go to files of their own. */
const mostWaitingBytes = 16 * 1024 * 1024
/** How long a look at the free space of the disk counts, less what was begun since. */
const freeMillis = 200

/** A body's place: a file of its own, which may grow, or a part of a segment, whole and durable. */
type Place =
  | { readonly kind: 'file' }
  | { readonly kind: 'segment'; readonly segment: BodySegment; readonly offset: number; readonly bytes: number }
/** With the key of its file: derived once, since a body is read twice or more. */
type Entry = FileKey & { readonly sha256: string; readonly room: Disposable; readonly place: Place }

export type SpoolOptions = {
  readonly key: LogKey
  readonly budget: Budget
  /** Kept free on the disk for logs and sums: a body is refused before they would lack room. */
  readonly reservedBytes: number
}

/**
 * Bodies of updates of one attempt, sealed. Large ones, and such as come in several calls, are files of their own, written front to back: the
 * file's length after a sync is the durable prefix from which an upload resumes. Small ones share files and syncs. A body is trusted
 * only once it was read back and its sha256 found right.
 */
export class UpdateSpool {
  readonly #folder: string
  readonly #options: SpoolOptions
  readonly #folderSync: SharedFolderSync
  readonly #segments: BodySegments
  readonly #waiting = new Budget(mostWaitingBytes)
  /** By device: an attempt keeps one body of each, but for what a crash brought back. */
  readonly #entries = new Map<string, readonly Entry[]>()
  /** Devices whose small body is not whole yet. */
  readonly #coming = new Set<string>()
  #free = { at: Number.NEGATIVE_INFINITY, bytes: 0 }
  #looking: Promise<void> | undefined

  private constructor(folder: string, options: SpoolOptions, nextSegment: number) {
    this.#folder = folder
    this.#options = options
    this.#folderSync = new SharedFolderSync(folder)
    this.#segments = new BodySegments(folder, this.#folderSync, options, nextSegment)
  }

  /** Opens the spool's folder, made where it is missing, and counts what is there. A body without its salt was never begun. */
  static async open(folder: string, options: SpoolOptions): Promise<UpdateSpool> {
    await makeFolder(folder)
    const names = await readdir(folder)
    const segments = names.flatMap(name => segmentNumber(name) ?? []).sort((a, b) => a - b)
    const spool = new UpdateSpool(folder, options, (segments.at(-1) ?? 0) + 1)
    for (const name of names) if (segmentNumber(name) === undefined) await spool.#takeFile(name)
    // Whole bodies take the place of what is left of the same one in a file.
    for (const number of segments) await spool.#takeSegment(join(folder, `bodies.${number}`))
    return spool
  }

  async #takeFile(name: string): Promise<void> {
    const [, device = '', sha256 = ''] = /^([0-9a-f-]{36})\.([0-9a-f]{64})$/.exec(name) ?? []
    const path = join(this.#folder, name)
    const salt = Uuid.safeParse(device).success && Sha256.safeParse(sha256).success ? await readSalt(path) : null
    if (salt === null) return removeFile(path)
    const { size } = await stat(path)
    const room = this.#options.budget.takeExisting(size + recordBytes)
    await this.#keep(device, { ...this.#keyOf(salt), sha256, room, place: { kind: 'file' } })
  }

  async #takeSegment(path: string): Promise<void> {
    const { budget } = this.#options
    const account = budget.account()
    account.add((await stat(path)).size)
    const segment = new BodySegment(path, account)
    segment.need()
    for (const { device, sha256, salt, offset, bytes } of await readSegment(path)) {
      segment.need()
      const place: Place = { kind: 'segment', segment, offset, bytes }
      const room = budget.takeExisting(recordBytes)
      await this.#keep(device, { ...this.#keyOf(salt), sha256, place, room })
    }
    await segment.release()
  }

  /** Takes the place of what was kept of the same body. */
  async #keep(device: string, entry: Entry): Promise<void> {
    const known = this.#entries.get(device) ?? []
    this.#entries.set(device, [...known.filter(({ sha256 }) => sha256 !== entry.sha256), entry])
    for (const before of known) if (before.sha256 === entry.sha256) await this.#drop(device, before)
  }

  /** Bytes of this body that are there. */
  async received(device: string, sha256: string): Promise<number> {
    const place = this.#find(device, sha256)?.place
    if (place === undefined) return 0
    if (place.kind === 'segment') return place.bytes
    try {
      return Math.max(0, (await stat(this.#path(device, sha256))).size - headBytes)
    } catch (error) {
      if (!isMissing(error)) throw error
      return 0
    }
  }

  /** Whether anything of a body of this device is there. */
  has(device: string): boolean {
    return this.#entries.has(device) || this.#coming.has(device)
  }

  /**
   * Opens a body to append to it. Another body of the same device is thrown away: it was never accepted.
   * @throws NoRoomError
   */
  async append(device: string, sha256: string, totalBytes: number): Promise<SpoolWriter> {
    const known = this.#entries.get(device)
    if (known?.some(entry => entry.sha256 !== sha256)) await this.#dropOthers(device, sha256)
    const kept = this.#find(device, sha256)
    if (kept === undefined) return this.#begin(device, sha256, totalBytes)
    if (kept.place.kind === 'file') return this.#resume(device, kept)
    const { bytes } = kept.place
    return { length: bytes, write: async () => {}, sync: async () => {}, [Symbol.asyncDispose]: async () => {} }
  }

  async #begin(device: string, sha256: string, totalBytes: number): Promise<SpoolWriter> {
    const { budget, reservedBytes } = this.#options
    const bytes = headBytes + totalBytes + recordBytes
    const hasDiskRoom = await this.#hasFree(bytes + reservedBytes)
    const room = hasDiskRoom ? budget.take(bytes) : null
    if (room === null) throw new NoRoomError('the spool is full')
    this.#free = { ...this.#free, bytes: this.#free.bytes - bytes }
    const memory = totalBytes <= smallBytes ? this.#waiting.take(totalBytes) : null
    if (memory === null) return this.#beginFile(device, sha256, room)
    const held = new DisposableStack()
    held.use(memory)
    this.#coming.add(device)
    held.defer(() => this.#coming.delete(device))
    return new WaitingBody(totalBytes, held, room, {
      keep: async parts => {
        const { segment, offset, key } = await this.#segments.append({ device, sha256, bytes: totalBytes }, parts)
        const place: Place = { kind: 'segment', segment, offset, bytes: totalBytes }
        // The segment counts the body's own bytes.
        await this.#keep(device, { ...key, sha256, place, room: budget.takeExisting(recordBytes) })
      },
      spill: ownedRoom => this.#beginFile(device, sha256, ownedRoom),
    })
  }

  /** Whether the disk has so much; that it has not is never taken from an earlier look. */
  async #hasFree(bytes: number): Promise<boolean> {
    if (performance.now() - this.#free.at > freeMillis) {
      this.#looking ??= this.#look().finally(() => {
        this.#looking = undefined
      })
      await this.#looking
    }
    if (this.#free.bytes < bytes) await this.#look()
    return this.#free.bytes >= bytes
  }

  async #look(): Promise<void> {
    const at = performance.now()
    const { bavail, bsize } = await statfs(this.#folder)
    this.#free = { at, bytes: bavail * bsize }
  }

  /** Begins a file; the room is the entry's from now on. */
  async #beginFile(device: string, sha256: string, room: Disposable): Promise<SpoolWriter> {
    const entry: Entry = { ...this.#options.key.freshFile(), sha256, room, place: { kind: 'file' } }
    await this.#keep(device, entry)
    try {
      return await this.#openFile(device, entry)
    } catch (error) {
      await this.remove(device)
      throw error
    }
  }

  async #openFile(device: string, { sha256, salt, seal }: Entry): Promise<SpoolWriter> {
    const handle = await open(this.#path(device, sha256), 'w', 0o600)
    const head = Buffer.alloc(headBytes)
    salt.copy(head)
    const file = new SealedWriter(handle, seal, headBytes, head)
    return new BodyFile(file, this.#folderSync)
  }

  async #resume(device: string, entry: Entry): Promise<SpoolWriter> {
    const { sha256, seal } = entry
    const handle = await open(this.#path(device, sha256), 'r+')
    try {
      const { size } = await handle.stat()
      if (size < headBytes) {
        // Nothing came before the connection was lost.
        await handle.close()
        return this.#openFile(device, entry)
      }
      return new BodyFile(new SealedWriter(handle, seal, size), this.#folderSync)
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /**
   * Where a body lies.
   * @throws Error when it is not there
   */
  body(device: string, sha256: string, bytes: number): FileRange & { readonly seal: Seal } {
    const entry = this.#find(device, sha256)
    if (entry === undefined) throw new Error(`the body of device ${device} is not in the spool`)
    const { place, seal } = entry
    const { path, offset } =
      place.kind === 'file'
        ? { path: this.#path(device, sha256), offset: headBytes }
        : { path: place.segment.path, offset: place.offset }
    return { path, offset, bytes, seal }
  }

  async remove(device: string): Promise<void> {
    const entries = this.#entries.get(device) ?? []
    this.#entries.delete(device)
    for (const entry of entries) await this.#drop(device, entry)
  }

  async #dropOthers(device: string, sha256: string): Promise<void> {
    const known = this.#entries.get(device) ?? []
    const kept = known.filter(entry => entry.sha256 === sha256)
    if (kept.length > 0) this.#entries.set(device, kept)
    else this.#entries.delete(device)
    for (const entry of known) if (entry.sha256 !== sha256) await this.#drop(device, entry)
  }

  /** The bytes of an entry that is not listed any more. */
  async #drop(device: string, { sha256, place, room }: Entry): Promise<void> {
    if (place.kind === 'segment') await place.segment.release()
    else await removeFile(this.#path(device, sha256))
    room[Symbol.dispose]()
  }

  /** Closes what is open and gives back the room of all bodies; their files go with the attempt's folder, or stay for a restart. */
  async close(): Promise<void> {
    await this.#segments.close()
    this.forget()
  }

  /** Gives back the room of all bodies; their files go with the attempt's folder. */
  forget(): void {
    for (const { room, place } of [...this.#entries.values()].flat()) {
      room[Symbol.dispose]()
      if (place.kind === 'segment') place.segment.account[Symbol.dispose]()
    }
    this.#entries.clear()
  }

  async removeAll(): Promise<void> {
    await this.keepOnly(() => false)
  }

  /** Removes the bodies of all devices that `isWanted` does not want. */
  async keepOnly(isWanted: (device: string) => boolean): Promise<void> {
    for (const device of [...this.#entries.keys()]) if (!isWanted(device)) await this.remove(device)
  }

  #keyOf(salt: Buffer): FileKey {
    return { salt, seal: this.#options.key.file(salt) }
  }

  #find(device: string, sha256: string): Entry | undefined {
    return this.#entries.get(device)?.find(entry => entry.sha256 === sha256)
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

/** A body in a file of its own. */
class BodyFile implements SpoolWriter {
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

  async write(chunk: Uint8Array): Promise<void> {
    await this.#file.write(chunk)
    discardMessage(chunk)
  }

  async sync(): Promise<void> {
    await Promise.all([this.#file.sync(), this.#folder.sync()])
    failpoint('spool.after-sync')
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#file[Symbol.asyncDispose]()
  }
}
