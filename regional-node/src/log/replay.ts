import { decodeRecord, logMagic, type PlacedRecord, recordHeaderBytes } from './record.ts'

/** Records that had been durable are damaged: what the log promised cannot be kept. */
export class LogCorruptError extends Error {
  override readonly name = 'LogCorruptError'
}

export type Replay = {
  readonly records: readonly PlacedRecord[]
  /** Length of the sound part: whatever follows was never acknowledged and is cut off. */
  readonly soundBytes: number
  /** Number that the next group commit takes. */
  readonly nextCommit: number
}

/**
 * Reads a log after a crash. A group commit that was cut off by the crash may be torn anywhere, in any order of its pages: the
 * sound records before the tear stay, the rest goes. A tear that is followed by a *later* commit cannot come from a crash,
 * because the later one was only written once the earlier was durable.
 * @throws LogCorruptError
 */
export const replayLog = (bytes: Buffer): Replay => {
  if (bytes.byteLength < logMagic.byteLength) return { records: [], soundBytes: 0, nextCommit: 1 }
  if (!bytes.subarray(0, logMagic.byteLength).equals(logMagic)) {
    // Pages of a first commit may be lost before the page that holds the magic: zeros are a tear, other text is not.
    if (bytes.subarray(0, logMagic.byteLength).every(byte => byte === 0)) {
      return refuseLaterCommit(bytes, 0, 1, { records: [], soundBytes: 0, nextCommit: 1 })
    }
    throw new LogCorruptError('the file is not a log of this program')
  }
  const records: PlacedRecord[] = []
  let offset: number = logMagic.byteLength
  let commit = 0
  for (;;) {
    const record = decodeRecord(bytes, offset)
    // Commits count up by one.
    if (record === null || (record.commit !== commit && record.commit !== commit + 1)) break
    records.push(record)
    commit = record.commit
    offset = record.end
  }
  const replay = { records, soundBytes: offset, nextCommit: commit + 1 }
  return offset === bytes.byteLength ? replay : refuseLaterCommit(bytes, offset, commit + 1, replay)
}

// The torn commit is the last sound one, or the one after it; any beyond proves that durable bytes were lost.
const refuseLaterCommit = (bytes: Buffer, from: number, newestTorn: number, replay: Replay): Replay => {
  for (let offset = from; offset + recordHeaderBytes <= bytes.byteLength; offset += 1) {
    const record = decodeRecord(bytes, offset)
    if (record !== null && record.commit > newestTorn) {
      throw new LogCorruptError(`the log is damaged at byte ${from}, before commit ${record.commit} that is sound`)
    }
  }
  return replay
}
