import { LogCorruptError } from './log-corrupt-error.ts'
import { decodeRecord, logMagic, maxPayloadBytes, type PlacedRecord, recordHeaderBytes } from './record.ts'

/** Where a log's bytes are read from. */
export type LogBytes = {
  readonly size: number
  /** As many of `length` bytes from `offset` on as there are. */
  readonly read: (offset: number, length: number) => Promise<Buffer>
}

export type Replay = {
  /** Length of the sound part: whatever follows was never acknowledged and is cut off. */
  readonly soundBytes: number
  /** Number that the next group commit takes. */
  readonly nextCommit: number
}

const windowBytes = 1024 * 1024
const mostRecordBytes = recordHeaderBytes + maxPayloadBytes

/** Records of a log by offset, of which a window is in memory. */
class LogWindow {
  readonly #log: LogBytes
  #bytes: Buffer = Buffer.alloc(0)
  #start = 0

  constructor(log: LogBytes) {
    this.#log = log
  }

  async recordAt(offset: number): Promise<PlacedRecord | null> {
    const known = this.#decode(offset)
    if (known !== null) return known
    const end = this.#start + this.#bytes.byteLength
    if (offset >= this.#start && (end >= this.#log.size || end - offset >= mostRecordBytes)) return null
    await this.#load(offset, windowBytes)
    const found = this.#decode(offset)
    if (found !== null || this.#bytes.byteLength < recordHeaderBytes) return found
    // Larger than a window, perhaps: a length that no record has is not believed.
    const length = this.#bytes.readUInt32LE(0)
    if (length > maxPayloadBytes || recordHeaderBytes + length <= this.#bytes.byteLength) return null
    await this.#load(offset, recordHeaderBytes + length)
    return this.#decode(offset)
  }

  #decode(offset: number): PlacedRecord | null {
    const at = offset - this.#start
    return at < 0 || at >= this.#bytes.byteLength ? null : decodeRecord(this.#bytes, at, this.#start)
  }

  async #load(offset: number, length: number): Promise<void> {
    this.#bytes = await this.#log.read(offset, length)
    this.#start = offset
  }
}

/**
 * Reads a log after a crash, record by record. A group commit that was cut off by the crash may be torn anywhere, in any order of its
 * pages: the sound records before the tear stay, the rest goes. A tear that is followed by a *later* commit cannot come from a crash,
 * because the later one was only written once the earlier was durable.
 * @param take gets each sound record, in order
 * @throws LogCorruptError
 */
export const replayLog = async (log: LogBytes, take: (record: PlacedRecord) => void): Promise<Replay> => {
  const magic = await log.read(0, logMagic.byteLength)
  if (magic.byteLength < logMagic.byteLength) return { soundBytes: 0, nextCommit: 1 }
  if (!magic.equals(logMagic)) {
    // Pages of a first commit may be lost before the page that holds the magic: zeros are a tear, other text is not.
    if (magic.some(byte => byte !== 0)) throw new LogCorruptError('the file is not a log of this program')
    await refuseLaterCommit(log, 0, 1)
    return { soundBytes: 0, nextCommit: 1 }
  }
  const window = new LogWindow(log)
  let offset: number = logMagic.byteLength
  let commit = 0
  for (;;) {
    const record = await window.recordAt(offset)
    // Commits count up by one.
    if (record === null || (record.commit !== commit && record.commit !== commit + 1)) break
    take(record)
    commit = record.commit
    offset = record.end
  }
  if (offset < log.size) await refuseLaterCommit(log, offset, commit + 1)
  return { soundBytes: offset, nextCommit: commit + 1 }
}

// The torn commit is the last sound one, or the one after it; any beyond proves that durable bytes were lost.
const refuseLaterCommit = async (log: LogBytes, from: number, newestTorn: number): Promise<void> => {
  for (let start = from; start < log.size; start += windowBytes) {
    // Overlaps the next window by the largest record, so that none lies across the border.
    const bytes = await log.read(start, windowBytes + mostRecordBytes)
    for (let at = 0; at < Math.min(windowBytes, bytes.byteLength); at += 1) {
      const record = decodeRecord(bytes, at, start)
      if (record !== null && record.commit > newestTorn) {
        throw new LogCorruptError(`the log is damaged at byte ${from}, before commit ${record.commit} that is sound`)
      }
    }
  }
}
