import { type FileHandle, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Account } from './budget.ts'
import { syncFolder } from './durable-files.ts'
import { failpoint } from './failpoint.ts'
import { LogCorruptError } from './log-corrupt-error.ts'
import type { RecordSeal } from './log-key.ts'
import { isNoRoom, NoRoomError } from './no-room-error.ts'
import { decodeRecord, encodeRecord, type LogRecord, logMagic, openRecord, recordHeaderBytes } from './record.ts'
import { replayLog } from './replay.ts'

/** The file below a log. */
export type LogFile = {
  /** Writes behind offset `end`. */
  readonly write: (bytes: Buffer, end: number) => Promise<void>
  readonly sync: () => Promise<void>
  readonly cut: (end: number) => Promise<void>
  /** Exactly `length` bytes, or fewer at the end of the file. */
  readonly read: (offset: number, length: number) => Promise<Buffer>
  readonly close: () => Promise<void>
}

/** Where a log goes on. */
export type LogEnd = { readonly bytes: number; readonly nextCommit: number }

export type LogOptions = {
  readonly seal: RecordSeal
  /** The disk did not keep what it was given. */
  readonly onFailure: (error: unknown) => void
  /** Counts the bytes of the file. */
  readonly room: Account
}

/** Most records that wait for a commit. */
const maxWaiting = 65_536

type Waiting = {
  readonly record: LogRecord
  readonly resolve: (offset: number) => void
  readonly reject: (error: unknown) => void
}

/**
 * An append-only log with group commit: whatever arrives while one fdatasync runs becomes durable with the next.
 * A full disk refuses a group, which is cut off again, and the log goes on. After any other failed write, or a failed fsync, the state of the
 * file is unknown, so it is never tried again: every append rejects and `onFailure` stops the node. https://wiki.postgresql.org/wiki/Fsync_Errors
 */
export class WriteAheadLog {
  readonly #file: LogFile
  readonly #options: LogOptions
  #waiting: Waiting[] = []
  #end: number
  #commit: number
  #flushing: Promise<void> | undefined
  #failure: { readonly error: unknown } | undefined
  #closed = false

  constructor(file: LogFile, { bytes, nextCommit }: LogEnd, options: LogOptions) {
    this.#file = file
    this.#end = bytes
    this.#commit = nextCommit
    this.#options = options
    options.room.add(bytes)
  }

  /**
   * Resolves with the record's offset once it is durable; records become durable in the order of the calls.
   * @throws NoRoomError when the disk is full: nothing was written, and later appends may succeed
   */
  append(record: LogRecord): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure.error)
      if (this.#closed) return reject(new Error('the log is closed'))
      if (this.#waiting.length >= maxWaiting) return reject(new Error('too many records wait for the disk'))
      this.#waiting.push({ record, resolve, reject })
      this.#flushing ??= this.#flush()
    })
  }

  /** The durable record at an offset that `append` or the replay gave. @throws LogCorruptError */
  async read(offset: number): Promise<LogRecord> {
    const header = await this.#file.read(offset, recordHeaderBytes)
    const length = header.byteLength < recordHeaderBytes ? 0 : header.readUInt32LE(0)
    const bytes = await this.#file.read(offset, recordHeaderBytes + length)
    const record = decodeRecord(bytes, 0, offset)
    if (record === null) throw new LogCorruptError(`the log has no sound record at byte ${offset} any more`)
    return openRecord(record, this.#options.seal)
  }

  /** Makes durable what waits, then closes the file. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#flushing
    await this.#file.close()
    this.#options.room[Symbol.dispose]()
  }

  async #flush(): Promise<void> {
    // One turn of the event loop, so that records of the same moment share a commit.
    await new Promise(setImmediate)
    while (this.#waiting.length > 0) {
      const group = this.#waiting
      this.#waiting = []
      const offsets = await this.#write(group.map(({ record }) => record)).catch((error: unknown) => {
        if (!(error instanceof NoRoomError) && this.#failure === undefined) {
          this.#failure = { error }
          this.#options.onFailure(error)
        }
        for (const { reject } of group) reject(error)
        return []
      })
      for (const [i, offset] of offsets.entries()) group[i]?.resolve(offset)
    }
    this.#flushing = undefined
  }

  /** Makes a group durable and returns the offsets of its records. */
  async #write(records: readonly LogRecord[]): Promise<number[]> {
    if (this.#failure !== undefined) throw this.#failure.error
    const frames = records.map(record => encodeRecord(record, this.#commit, this.#options.seal))
    const bytes = Buffer.concat(frames)
    failpoint('log.before-write')
    try {
      await this.#file.write(bytes, this.#end)
    } catch (error) {
      if (!isNoRoom(error)) throw error
      // What was written of the group takes room from others, and must not be found by a replay.
      await this.#file.cut(this.#end)
      throw new NoRoomError('the disk is full', { cause: error })
    }
    failpoint('log.before-sync')
    await this.#file.sync()
    failpoint('log.after-sync')
    let offset = this.#end
    const offsets = frames.map(({ byteLength }) => {
      offset += byteLength
      return offset - byteLength
    })
    this.#options.room.add(bytes.byteLength)
    this.#end += bytes.byteLength
    this.#commit += 1
    return offsets
  }
}

const fileOnDisk = (handle: FileHandle): LogFile => ({
  write: async (bytes, end) => {
    for (let written = 0; written < bytes.byteLength; ) {
      const { bytesWritten } = await handle.write(bytes, written, bytes.byteLength - written, end + written)
      written += bytesWritten
    }
  },
  sync: () => handle.datasync(),
  cut: end => handle.truncate(end),
  read: async (offset, length) => {
    const bytes = Buffer.allocUnsafe(length)
    let filled = 0
    while (filled < length) {
      const { bytesRead } = await handle.read(bytes, filled, length - filled, offset + filled)
      if (bytesRead === 0) break
      filled += bytesRead
    }
    return bytes.subarray(0, filled)
  },
  close: () => handle.close(),
})

/**
 * Opens a log, or makes it: reads what is durable, cuts off a torn tail, and is ready to append.
 * @param take gets each record with its offset, in order; what it throws is thrown on
 * @throws LogCorruptError
 */
export const openLog = async (
  path: string,
  options: LogOptions,
  take: (record: LogRecord, offset: number) => void,
): Promise<WriteAheadLog> => {
  const handle = await open(path, 'a+', 0o600).then(async made => {
    await made.close()
    return open(path, 'r+')
  })
  try {
    const file = fileOnDisk(handle)
    const { size } = await handle.stat()
    const replay = await replayLog({ size, read: file.read }, placed =>
      take(openRecord(placed, options.seal), placed.start),
    )
    let bytes = replay.soundBytes
    await handle.truncate(bytes)
    if (bytes === 0) {
      await file.write(logMagic, 0)
      bytes = logMagic.byteLength
    }
    await handle.sync()
    await syncFolder(dirname(path))
    return new WriteAheadLog(file, { bytes, nextCommit: replay.nextCommit }, options)
  } catch (error) {
    await handle.close()
    throw error
  }
}
