import type { ByteSource } from './byte-source.ts'
import { DataError } from './data-error.ts'
import type { DataFiles } from './data-files.ts'
import { InflatedSource } from './inflated-source.ts'

const maxDirectoryBytes = 2 ** 20
const endBytes = 22
const maxCommentBytes = 65_535

type Entry = { readonly method: number; readonly packed: number; readonly size: number; readonly offset: number }

/**
 * One array of an .npz file, which is a zip archive of .npy files (numpy.savez, numpy.savez_compressed), unpacked as it is
 * read. Throws NPZ_MALFORMED. Nothing is believed that the bytes do not show: an entry that unpacks to more than its directory
 * says is refused when it does.
 */
export const openNpzEntry = async (files: DataFiles, file: string, array: string): Promise<ByteSource> => {
  const archive = await files.source(file)
  const { method, packed, size, offset } = await findEntry(archive, array)
  const local = await part(archive, offset, 30)
  if (local.readUInt32LE(0) !== 0x04034b50) throw malformed(archive, 'its directory points at no entry')
  // NumPy writes zip64 fields here, so the length of this header is only known from itself.
  const start = offset + 30 + local.readUInt16LE(26) + local.readUInt16LE(28)
  if (start + packed > archive.size) throw malformed(archive, 'it was cut off')
  const name = `${archive.name}, array "${array}"`
  if (method !== 0)
    return files.own(new InflatedSource({ source: archive, position: start, bytes: packed }, name, size))
  if (packed !== size) throw malformed(archive, 'an array in it is damaged')
  return {
    name,
    size,
    read: (position, length) => archive.read(start + position, length),
    fill: (position, target) => archive.fill(start + position, target),
  }
}

const findEntry = async (archive: ByteSource, array: string): Promise<Entry> => {
  const names: string[] = []
  const directory = await readDirectory(archive)
  for (let at = 0; at + 46 <= directory.length; ) {
    if (directory.readUInt32LE(at) !== 0x02014b50) throw malformed(archive, 'its directory is damaged')
    const nameEnd = at + 46 + directory.readUInt16LE(at + 28)
    const extraEnd = nameEnd + directory.readUInt16LE(at + 30)
    const name = directory.toString('utf8', at + 46, nameEnd).replace(/\.npy$/, '')
    if (name === array) return checked(archive, directory, at)
    names.push(name.slice(0, 80))
    at = extraEnd + directory.readUInt16LE(at + 32)
  }
  throw malformed(
    archive,
    `it has no array ${JSON.stringify(array)}, but ${names.slice(0, 8).join(', ') || 'none at all'}`,
  )
}

const checked = (archive: ByteSource, directory: Buffer, at: number): Entry => {
  const entry = {
    method: directory.readUInt16LE(at + 10),
    packed: directory.readUInt32LE(at + 20),
    size: directory.readUInt32LE(at + 24),
    offset: directory.readUInt32LE(at + 42),
  }
  if (entry.method !== 0 && entry.method !== 8) throw malformed(archive, `it is packed by method ${entry.method}`)
  if ((directory.readUInt16LE(at + 8) & 1) !== 0) throw malformed(archive, 'it is encrypted')
  // What does not fit here stands in a zip64 field, which is not read.
  if (Math.max(entry.size, entry.packed, entry.offset) >= 2 ** 32 - 1) {
    throw malformed(archive, 'an array in it has 4 GB or more; save it as .npy')
  }
  return entry
}

const readDirectory = async (archive: ByteSource): Promise<Buffer> => {
  const tailBytes = Math.min(archive.size, endBytes + maxCommentBytes)
  const tail = await archive.read(archive.size - tailBytes, tailBytes)
  const end = tail.lastIndexOf(Buffer.from('504b0506', 'hex'))
  if (end === -1 || end + endBytes > tail.length) throw malformed(archive, 'it is no zip archive, or was cut off')
  const bytes = tail.readUInt32LE(end + 12)
  if (bytes > maxDirectoryBytes) throw malformed(archive, `its directory has ${bytes} bytes`)
  return part(archive, tail.readUInt32LE(end + 16), bytes)
}

const part = (archive: ByteSource, position: number, length: number): Promise<Buffer> => {
  if (position + length <= archive.size) return archive.read(position, length)
  throw malformed(archive, 'it was cut off')
}

const malformed = ({ name }: ByteSource, what: string, cause?: unknown): DataError =>
  new DataError('NPZ_MALFORMED', `${name} cannot be used: ${what}.`, { cause })
