import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Account, Budget } from './budget.ts'
import { crc32c } from './crc32c.ts'
import { discard, discardMessage } from './discard.ts'
import { removeFile, type SharedFolderSync } from './durable-files.ts'
import { failpoint } from './failpoint.ts'
import { type FileKey, fileCipher, type LogKey, saltBytes } from './log-key.ts'
import { isNoRoom, NoRoomError } from './no-room-error.ts'

/** A segment that has so many bytes takes no more bodies. */
const segmentBytes = 8 * 1024 * 1024
/** Bodies of one write, whose sealed bytes are in memory meanwhile. */
const writeBytes = 4 * 1024 * 1024
/** In front of each body: magic, device, sha256, salt of the file's key, length, crc32c of all that. */
const headBytes = 128
const magic = Buffer.from('TRIBODY1', 'latin1')
const crcOffset = 8 + 16 + 32 + saltBytes + 8

/** A body as it is announced and placed. */
export type SegmentBody = {
  readonly device: string
  readonly sha256: string
  readonly salt: Buffer
  readonly bytes: number
  /** Where it begins in its file, sealed. */
  readonly offset: number
}

/** A body that comes to a segment. */
type NewBody = Omit<SegmentBody, 'offset' | 'salt'>

/** Where a body was put, and the key of the file. */
type PlacedBody = { readonly segment: BodySegment; readonly offset: number; readonly key: FileKey }

type Waiting = {
  readonly body: NewBody
  readonly parts: readonly Uint8Array[]
  readonly resolve: (placed: PlacedBody) => void
  readonly reject: (error: unknown) => void
}

/** A file of many bodies. It goes once none of them is needed. */
export class BodySegment {
  readonly path: string
  readonly account: Account
  readonly #onUnneeded: (segment: BodySegment) => Promise<void>
  #needed = 0
  #isOpen: boolean

  /** @param onUnneeded called when no body of it is needed while more may come; undefined where none comes any more */
  constructor(path: string, account: Account, onUnneeded?: (segment: BodySegment) => Promise<void>) {
    this.path = path
    this.account = account
    this.#isOpen = onUnneeded !== undefined
    this.#onUnneeded = onUnneeded ?? (async () => {})
  }

  need(): void {
    this.#needed += 1
  }

  /** Resolves once the file is gone, where it was the last body of it. */
  async release(): Promise<void> {
    this.#needed -= 1
    await this.#removeUnneeded()
  }

  /** No body comes to it any more. */
  async seal(): Promise<void> {
    this.#isOpen = false
    await this.#removeUnneeded()
  }

  async #removeUnneeded(): Promise<void> {
    if (this.#needed > 0) return
    if (this.#isOpen) return this.#onUnneeded(this)
    await removeFile(this.path)
    this.account[Symbol.dispose]()
  }
}

type Current = { readonly segment: BodySegment; readonly handle: FileHandle; readonly key: FileKey; end: number }

/**
 * Small bodies, many in a file: those that arrive while one fdatasync runs become durable with the next, and no file has to be made,
 * synced and removed for each. A segment has one key, whose stream goes on with its bytes: a segment whose write or sync failed is
 * never written again, nor is one of an earlier run.
 */
export class BodySegments {
  readonly #folder: string
  readonly #folderSync: SharedFolderSync
  readonly #key: LogKey
  readonly #budget: Budget
  #waiting: Waiting[] = []
  #flushing: Promise<void> | undefined
  #current: Current | undefined
  #next: number
  #closed = false

  /** @param next number of the first segment, which no file of the folder has */
  constructor(
    folder: string,
    folderSync: SharedFolderSync,
    { key, budget }: { readonly key: LogKey; readonly budget: Budget },
    next: number,
  ) {
    this.#folder = folder
    this.#folderSync = folderSync
    this.#key = key
    this.#budget = budget
    this.#next = next
  }

  /**
   * Resolves with the place of a whole body once it is durable; the caller needs its segment from then on.
   * @throws NoRoomError
   */
  append(body: NewBody, parts: readonly Uint8Array[]): Promise<PlacedBody> {
    return new Promise((resolve, reject) => {
      // It would open a file that nobody closes.
      if (this.#closed) return reject(new Error('the spool is closed'))
      this.#waiting.push({ body, parts, resolve, reject })
      this.#flushing ??= this.#flush()
    })
  }

  /** Closes the file; bodies that wait are made durable before. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#flushing
    await this.#leave()
  }

  async #flush(): Promise<void> {
    // One turn of the event loop, so that bodies of the same moment share a commit.
    await new Promise(setImmediate)
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0, countOfWrite(this.#waiting))
      try {
        const { offsets, segment, key } = await this.#write(group)
        for (const [i, offset] of offsets.entries()) {
          segment.need()
          group[i]?.resolve({ segment, offset, key })
        }
      } catch (error) {
        for (const { reject } of group) reject(error)
      }
      if (this.#current !== undefined && this.#current.end >= segmentBytes) await this.#leave()
    }
    this.#flushing = undefined
  }

  async #write(group: readonly Waiting[]): Promise<{ offsets: readonly number[]; segment: BodySegment; key: FileKey }> {
    const isNew = this.#current === undefined
    this.#current ??= await this.#begin()
    const current = this.#current
    const { handle, segment, key } = current
    let end = current.end
    const offsets: number[] = []
    const buffers: Uint8Array[] = []
    const cipher = fileCipher(key.seal, end)
    for (const { body, parts } of group) {
      const head = headOf({ ...body, salt: key.salt })
      // Heads are not sealed; the stream goes on behind them.
      cipher(head)
      buffers.push(head)
      for (const part of parts) {
        buffers.push(cipher(part))
        discardMessage(part)
      }
      const offset = end + headBytes
      offsets.push(offset)
      end = offset + body.bytes
    }
    const size = end - current.end
    try {
      const { bytesWritten } = await handle.writev(buffers, current.end)
      if (bytesWritten < size) throw Object.assign(new Error('the disk is full'), { code: 'ENOSPC' })
    } catch (error) {
      // What was written of the group takes room from others.
      if (isNoRoom(error)) await handle.truncate(current.end).catch(() => {})
      await this.#leave()
      throw noRoomOf(error)
    }
    try {
      await Promise.all([handle.datasync(), isNew ? this.#folderSync.sync() : undefined])
      for (const _ of group) failpoint('spool.after-sync')
    } catch (error) {
      // What the disk has is not known. Bodies that were durable before stay where they are.
      await this.#leave()
      throw error
    }
    for (const buffer of buffers) discard(buffer)
    segment.account.add(size)
    current.end = end
    return { offsets, segment, key }
  }

  async #begin(): Promise<Current> {
    const path = join(this.#folder, `bodies.${this.#next}`)
    this.#next += 1
    const handle = await open(path, 'wx', 0o600).catch((error: unknown) => {
      throw noRoomOf(error)
    })
    const segment = new BodySegment(path, this.#budget.account(), unneeded => this.#onUnneeded(unneeded))
    return { segment, handle, key: this.#key.freshFile(), end: 0 }
  }

  /** An attempt that has no bodies has no file. */
  async #onUnneeded(segment: BodySegment): Promise<void> {
    if (this.#current?.segment === segment && this.#flushing === undefined) await this.#leave()
  }

  async #leave(): Promise<void> {
    const current = this.#current
    this.#current = undefined
    await current?.handle.close()
    await current?.segment.seal()
  }
}

/** How many of them go together: one at least. */
const countOfWrite = (waiting: readonly Waiting[]): number => {
  let bytes = 0
  const beyond = waiting.findIndex(({ body }, i) => {
    bytes += body.bytes
    return i > 0 && bytes > writeBytes
  })
  return beyond < 0 ? waiting.length : beyond
}

const noRoomOf = (error: unknown): unknown =>
  isNoRoom(error) ? new NoRoomError('the disk is full', { cause: error }) : error

const headOf = ({ device, sha256, salt, bytes }: Omit<SegmentBody, 'offset'>): Buffer => {
  const head = Buffer.alloc(headBytes)
  magic.copy(head)
  head.write(device.replaceAll('-', ''), 8, 'hex')
  head.write(sha256, 24, 'hex')
  salt.copy(head, 56)
  head.writeBigUInt64LE(BigInt(bytes), 56 + saltBytes)
  head.writeUInt32LE(crc32c(head.subarray(0, crcOffset)), crcOffset)
  return head
}

/** Bodies of a segment that are there as a whole, in their order; what comes behind a torn one was promised to nobody. */
export const readSegment = async (path: string): Promise<readonly SegmentBody[]> => {
  await using handle = await open(path, 'r')
  const { size } = await handle.stat()
  const bodies: SegmentBody[] = []
  const head = Buffer.alloc(headBytes)
  for (let at = 0; at + headBytes <= size; ) {
    const { bytesRead } = await handle.read(head, 0, headBytes, at)
    const isHead = bytesRead === headBytes && head.subarray(0, 8).equals(magic)
    if (!isHead || crc32c(head.subarray(0, crcOffset)) !== head.readUInt32LE(crcOffset)) break
    const hex = head.toString('hex', 8, 24)
    const device = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
    const bytes = Number(head.readBigUInt64LE(56 + saltBytes))
    const offset = at + headBytes
    at = offset + bytes
    if (at > size) break
    bodies.push({
      device,
      sha256: head.toString('hex', 24, 56),
      salt: Buffer.from(head.subarray(56, 56 + saltBytes)),
      bytes,
      offset,
    })
  }
  return bodies
}

/** Number of a segment by its file's name. */
export const segmentNumber = (name: string): number | undefined => {
  const [, number] = /^bodies\.(\d{1,15})$/.exec(name) ?? []
  return number === undefined ? undefined : Number(number)
}
