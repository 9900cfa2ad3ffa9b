import { type FileHandle, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { syncFolder } from './durable-files.ts'
import { encodeRecord, type LogRecord, logMagic } from './record.ts'
import { type Replay, replayLog } from './replay.ts'

/** The file below a log: appends, makes durable, closes. */
export type LogFile = {
  readonly append: (bytes: Buffer) => Promise<void>
  readonly sync: () => Promise<void>
  readonly close: () => Promise<void>
}

/** Most records that wait for a commit. */
const maxWaiting = 65_536

type Waiting = { readonly record: LogRecord; readonly resolve: () => void; readonly reject: (error: unknown) => void }

/**
 * An append-only log with group commit: whatever arrives while one fdatasync runs becomes durable with the next.
 * After a failed write or fsync the state of the file is unknown, so it is never tried again: every append rejects and
 * `onFailure` stops the node. https://wiki.postgresql.org/wiki/Fsync_Errors
 */
export class WriteAheadLog {
  readonly #file: LogFile
  readonly #onFailure: (error: unknown) => void
  #waiting: Waiting[] = []
  #commit: number
  #flushing: Promise<void> | undefined
  #failure: { readonly error: unknown } | undefined
  #closed = false

  constructor(file: LogFile, nextCommit: number, onFailure: (error: unknown) => void) {
    this.#file = file
    this.#commit = nextCommit
    this.#onFailure = onFailure
  }

  /** Resolves once the record is durable; records become durable in the order of the calls. */
  append(record: LogRecord): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure.error)
      if (this.#closed) return reject(new Error('the log is closed'))
      if (this.#waiting.length >= maxWaiting) return reject(new Error('too many records wait for the disk'))
      this.#waiting.push({ record, resolve, reject })
      this.#flushing ??= this.#flush()
    })
  }

  /** Makes durable what waits, then closes the file. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#flushing
    await this.#file.close()
  }

  async #flush(): Promise<void> {
    // One turn of the event loop, so that records of the same moment share a commit.
    await new Promise(setImmediate)
    while (this.#waiting.length > 0) {
      const group = this.#waiting
      this.#waiting = []
      try {
        if (this.#failure !== undefined) throw this.#failure.error
        const commit = this.#commit
        this.#commit += 1
        await this.#file.append(Buffer.concat(group.map(({ record }) => encodeRecord(record, commit))))
        await this.#file.sync()
      } catch (error) {
        if (this.#failure === undefined) {
          this.#failure = { error }
          this.#onFailure(error)
        }
        for (const { reject } of group) reject(error)
        continue
      }
      for (const { resolve } of group) resolve()
    }
    this.#flushing = undefined
  }
}

/** A log file on disk that grows from `length`. */
const fileOnDisk = (handle: FileHandle, length: number): LogFile => {
  let end = length
  return {
    append: async bytes => {
      for (let written = 0; written < bytes.byteLength; ) {
        const { bytesWritten } = await handle.write(bytes, written, bytes.byteLength - written, end + written)
        written += bytesWritten
      }
      end += bytes.byteLength
    },
    sync: () => handle.datasync(),
    close: () => handle.close(),
  }
}

/**
 * Opens a log, or makes it: reads what is durable, cuts off a torn tail, and is ready to append.
 * @throws LogCorruptError
 */
export const openLog = async (
  path: string,
  onFailure: (error: unknown) => void,
): Promise<{ log: WriteAheadLog; replay: Replay }> => {
  const handle = await open(path, 'a+', 0o600).then(async made => {
    await made.close()
    return open(path, 'r+')
  })
  try {
    const replay = replayLog(await handle.readFile())
    let length = replay.soundBytes
    await handle.truncate(length)
    if (length === 0) {
      await handle.write(logMagic, 0, logMagic.byteLength, 0)
      length = logMagic.byteLength
    }
    await handle.sync()
    await syncFolder(dirname(path))
    return { log: new WriteAheadLog(fileOnDisk(handle, length), replay.nextCommit, onFailure), replay }
  } catch (error) {
    await handle.close()
    throw error
  }
}
