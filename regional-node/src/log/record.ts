import { crc32c } from './crc32c.ts'
import { type RecordSeal, sealBytes } from './log-key.ts'

/** What every log begins with. */
export const logMagic = Buffer.from('TRIBLOG2', 'latin1')

/** Largest payload of one record, bytes, sealed: a reader never believes more. */
export const maxPayloadBytes = 4 * 1024 * 1024

/** length u32 · commit u32 · type u8 · crc32c u32 over all three and the sealed payload, little-endian. */
export const recordHeaderBytes = 13
/** The part of a header that the seal is bound to, and that the checksum begins with. */
const boundBytes = 9

export type LogRecord = {
  readonly type: number
  readonly payload: Uint8Array
}

/** A record as it stands in a log, sealed. */
export type PlacedRecord = LogRecord & {
  /** Number of the group commit that wrote it: records of one commit became durable together. */
  readonly commit: number
  readonly start: number
  /** Offset behind it. */
  readonly end: number
  readonly header: Uint8Array
}

/** @throws RangeError when the payload is too large for any reader */
export const encodeRecord = ({ type, payload }: LogRecord, commit: number, { seal }: RecordSeal): Buffer => {
  const length = payload.byteLength + sealBytes
  if (length > maxPayloadBytes) throw new RangeError(`a log record of ${payload.byteLength} bytes`)
  const header = Buffer.alloc(recordHeaderBytes)
  header.writeUInt32LE(length, 0)
  header.writeUInt32LE(commit, 4)
  header.writeUInt8(type, 8)
  const bound = header.subarray(0, boundBytes)
  const sealed = seal(payload, bound)
  header.writeUInt32LE(crc32c(sealed, crc32c(bound)), boundBytes)
  return Buffer.concat([header, sealed])
}

/**
 * The record that begins at `offset` of some bytes, or null where there is none whole and sound.
 * @param start where those bytes begin in the log
 */
export const decodeRecord = (bytes: Buffer, offset: number, start = 0): PlacedRecord | null => {
  if (bytes.byteLength - offset < recordHeaderBytes) return null
  const length = bytes.readUInt32LE(offset)
  const end = offset + recordHeaderBytes + length
  if (length > maxPayloadBytes || end > bytes.byteLength) return null
  const payload = bytes.subarray(offset + recordHeaderBytes, end)
  const header = bytes.subarray(offset, offset + boundBytes)
  if (crc32c(payload, crc32c(header)) !== bytes.readUInt32LE(offset + boundBytes)) return null
  const placed = { start: start + offset, end: start + end, header }
  return { type: bytes.readUInt8(offset + 8), commit: bytes.readUInt32LE(offset + 4), payload, ...placed }
}

/** @throws LogCorruptError when it was sealed by another key */
export const openRecord = ({ type, payload, header }: PlacedRecord, { open }: RecordSeal): LogRecord => ({
  type,
  payload: open(payload, header),
})
