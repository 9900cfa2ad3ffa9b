import { crc32c } from './crc32c.ts'

/** What every log begins with. */
export const logMagic = Buffer.from('TRIBLOG1', 'latin1')

/** Largest payload of one record, bytes: a reader never believes more. */
export const maxPayloadBytes = 4 * 1024 * 1024

/** length u32 · commit u32 · type u8 · crc32c u32 over all three and the payload, little-endian. */
export const recordHeaderBytes = 13

export type LogRecord = {
  readonly type: number
  readonly payload: Uint8Array
}

/** A record as it stands in a log. */
export type PlacedRecord = LogRecord & {
  /** Number of the group commit that wrote it: records of one commit became durable together. */
  readonly commit: number
  /** Offset behind it. */
  readonly end: number
}

/** @throws RangeError when the payload is too large for any reader */
export const encodeRecord = ({ type, payload }: LogRecord, commit: number): Buffer => {
  if (payload.byteLength > maxPayloadBytes) throw new RangeError(`a log record of ${payload.byteLength} bytes`)
  const bytes = Buffer.allocUnsafe(recordHeaderBytes + payload.byteLength)
  bytes.writeUInt32LE(payload.byteLength, 0)
  bytes.writeUInt32LE(commit, 4)
  bytes.writeUInt8(type, 8)
  bytes.set(payload, recordHeaderBytes)
  bytes.writeUInt32LE(crc32c(payload, crc32c(bytes.subarray(0, 9))), 9)
  return bytes
}

/** The record that begins at `offset`, or null where there is none whole and sound. */
export const decodeRecord = (bytes: Buffer, offset: number): PlacedRecord | null => {
  if (bytes.byteLength - offset < recordHeaderBytes) return null
  const length = bytes.readUInt32LE(offset)
  const end = offset + recordHeaderBytes + length
  if (length > maxPayloadBytes || end > bytes.byteLength) return null
  const payload = bytes.subarray(offset + recordHeaderBytes, end)
  if (crc32c(payload, crc32c(bytes.subarray(offset, offset + 9))) !== bytes.readUInt32LE(offset + 9)) return null
  return { type: bytes.readUInt8(offset + 8), commit: bytes.readUInt32LE(offset + 4), payload, end }
}
