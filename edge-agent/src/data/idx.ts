import type { ByteSource } from './byte-source.ts'
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

/** Reads only the header. Throws IDX_MALFORMED, IDX_SIZE_MISMATCH. */
export const readIdxHeader = async (source: ByteSource): Promise<IdxHeader> => {
  const { name, size } = source
  const magic = await headerPart(source, 0, 4)
  if (magic[0] !== 0 || magic[1] !== 0) throw malformed(name, `begins with ${hex(magic)}, an IDX file with 0000`)
  if (magic[2] !== unsignedByte)
    throw malformed(name, `has element type 0x${hex(magic.subarray(2, 3))}; only unsigned bytes (0x08) are read`)
  const axes = magic[3] as number
  if (axes < 1 || axes > maxAxes) throw malformed(name, `has ${axes} axes; 1 to ${maxAxes} are read`)
  const sizes = await headerPart(source, 4, 4 * axes)
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

const headerPart = (source: ByteSource, position: number, length: number): Promise<Buffer> => {
  if (position + length <= source.size) return source.read(position, length)
  throw malformed(source.name, `ends after ${source.size} bytes, inside its header`)
}

const malformed = (name: string, what: string): DataError => new DataError('IDX_MALFORMED', `${name}: ${what}.`)

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
