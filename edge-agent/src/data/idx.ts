import type { FileHandle } from 'node:fs/promises'
import { DataError } from './data-error.ts'

/** Type code of unsigned bytes, the only one read. http://yann.lecun.com/exdb/mnist/ (file format) */
const unsignedByte = 0x08
const maxAxes = 8

/** An IDX file of unsigned bytes, its sizes checked against the file. */
export type IdxHeader = {
  /** Sizes from the slowest axis (examples) to the fastest. */
  readonly shape: readonly number[]
  readonly headerBytes: number
  readonly dataBytes: number
}

/** Reads only the header. Throws IDX_MALFORMED, IDX_SIZE_MISMATCH; `name` is for the message. */
export const readIdxHeader = async (file: FileHandle, name: string): Promise<IdxHeader> => {
  const { size } = await file.stat()
  const magic = await readExactly(file, 0, 4, size, name)
  if (magic[0] !== 0 || magic[1] !== 0) throw malformed(name, `begins with ${hex(magic)}, an IDX file with 0000`)
  if (magic[2] !== unsignedByte)
    throw malformed(name, `has element type 0x${hex(magic.subarray(2, 3))}; only unsigned bytes (0x08) are read`)
  const axes = magic[3] as number
  if (axes < 1 || axes > maxAxes) throw malformed(name, `has ${axes} axes; 1 to ${maxAxes} are read`)
  const sizes = await readExactly(file, 4, 4 * axes, size, name)
  const shape = Array.from({ length: axes }, (_, axis) => sizes.readUInt32BE(4 * axis))
  const headerBytes = 4 + 4 * axes
  const dataBytes = shape.reduce((product, length) => product * length, 1)
  if (headerBytes + dataBytes !== size) {
    throw new DataError(
      'IDX_SIZE_MISMATCH',
      `${name}: shape [${shape.join(', ')}] takes ${headerBytes + dataBytes} bytes, the file has ${size}. Copy it again.`,
    )
  }
  return { shape, headerBytes, dataBytes }
}

/** Reads the elements that a checked header describes. */
export const readIdxData = async (file: FileHandle, header: IdxHeader, name: string): Promise<Buffer> =>
  readExactly(file, header.headerBytes, header.dataBytes, header.headerBytes + header.dataBytes, name)

const readExactly = async (file: FileHandle, position: number, length: number, size: number, name: string) => {
  if (position + length > size) throw malformed(name, `ends after ${size} bytes, inside its header`)
  const buffer = Buffer.allocUnsafe(length)
  for (let filled = 0; filled < length; ) {
    const { bytesRead } = await file.read(buffer, filled, Math.min(length - filled, 2 ** 30), position + filled)
    if (bytesRead === 0) throw malformed(name, 'became shorter while it was read')
    filled += bytesRead
  }
  return buffer
}

const malformed = (name: string, what: string): DataError => new DataError('IDX_MALFORMED', `${name}: ${what}.`)

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
