import { type ByteSource, readSlices } from './byte-source.ts'
import { DataError } from './data-error.ts'

type Read = (bytes: Buffer, offset: number) => number

/** Element types by NumPy's type string without its byte order; the two readers are for little and big endian. */
const elementTypes = new Map<
  string,
  { readonly bytes: number; readonly integer: boolean; readonly read: [Read, Read] }
>([
  ['b1', { bytes: 1, integer: true, read: same((bytes, at) => (bytes[at] === 0 ? 0 : 1)) }],
  ['u1', { bytes: 1, integer: true, read: same((bytes, at) => bytes.readUInt8(at)) }],
  ['i1', { bytes: 1, integer: true, read: same((bytes, at) => bytes.readInt8(at)) }],
  [
    'u2',
    { bytes: 2, integer: true, read: [(bytes, at) => bytes.readUInt16LE(at), (bytes, at) => bytes.readUInt16BE(at)] },
  ],
  [
    'i2',
    { bytes: 2, integer: true, read: [(bytes, at) => bytes.readInt16LE(at), (bytes, at) => bytes.readInt16BE(at)] },
  ],
  [
    'u4',
    { bytes: 4, integer: true, read: [(bytes, at) => bytes.readUInt32LE(at), (bytes, at) => bytes.readUInt32BE(at)] },
  ],
  [
    'i4',
    { bytes: 4, integer: true, read: [(bytes, at) => bytes.readInt32LE(at), (bytes, at) => bytes.readInt32BE(at)] },
  ],
  [
    'u8',
    {
      bytes: 8,
      integer: true,
      read: [(bytes, at) => Number(bytes.readBigUInt64LE(at)), (bytes, at) => Number(bytes.readBigUInt64BE(at))],
    },
  ],
  [
    'i8',
    {
      bytes: 8,
      integer: true,
      read: [(bytes, at) => Number(bytes.readBigInt64LE(at)), (bytes, at) => Number(bytes.readBigInt64BE(at))],
    },
  ],
  [
    'f4',
    { bytes: 4, integer: false, read: [(bytes, at) => bytes.readFloatLE(at), (bytes, at) => bytes.readFloatBE(at)] },
  ],
  [
    'f8',
    { bytes: 8, integer: false, read: [(bytes, at) => bytes.readDoubleLE(at), (bytes, at) => bytes.readDoubleBE(at)] },
  ],
])

function same(read: Read): [Read, Read] {
  return [read, read]
}

const maxHeaderBytes = 65_536
const maxAxes = 8

/** An array in NumPy's format, its sizes checked against the file. */
export type NpyHeader = {
  /** Sizes from the slowest axis to the fastest. */
  readonly shape: readonly number[]
  readonly elements: number
  readonly integer: boolean
  readonly position: number
  readonly elementBytes: number
  readonly read: Read
}

/**
 * Reads only the header. Throws NPY_MALFORMED, NPY_SIZE_MISMATCH.
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
export const readNpyHeader = async (source: ByteSource): Promise<NpyHeader> => {
  const { name, size } = source
  const start = await headerPart(source, 0, 8)
  if (start.toString('latin1', 0, 6) !== '\x93NUMPY') {
    throw malformed(name, `begins with ${start.toString('hex', 0, 6)}, a .npy file with 934e554d5059`)
  }
  const version = start[6] as number
  if (version < 1 || version > 3) throw malformed(name, `is of format version ${version}; 1 to 3 are read`)
  const lengthBytes = version === 1 ? 2 : 4
  const headerBytes = (await headerPart(source, 8, lengthBytes)).readUIntLE(0, lengthBytes)
  if (headerBytes > maxHeaderBytes) throw malformed(name, `has a header of ${headerBytes} bytes`)
  const text = (await headerPart(source, 8 + lengthBytes, headerBytes)).toString('utf8')
  const { descr, fortranOrder, shape } = parseHeader(text, name)
  const type = elementTypes.get(descr.slice(1))
  if (type === undefined || !/^[<>|=]$/.test(descr[0] ?? '')) {
    throw malformed(name, `holds ${descr}; save it with .astype("float32"), or integers for classes`)
  }
  if (fortranOrder && shape.length > 1) {
    throw malformed(name, 'is in Fortran order; save numpy.ascontiguousarray(…) of it')
  }
  const elements = shape.reduce((product, length) => product * length, 1)
  const position = 8 + lengthBytes + headerBytes
  if (position + elements * type.bytes !== size) {
    throw new DataError(
      'NPY_SIZE_MISMATCH',
      `${name}: shape (${shape.join(', ')}) of ${descr} takes ${position + elements * type.bytes} bytes, the file has ${size}. Copy it again.`,
    )
  }
  const read = type.read[descr[0] === '>' ? 1 : 0]
  return { shape, elements, integer: type.integer, position, elementBytes: type.bytes, read }
}

/** Hands over every element in order, with its position. */
export const readNpyData = (
  source: ByteSource,
  { position, elements, elementBytes, read }: NpyHeader,
  use: (value: number, index: number) => void,
): Promise<void> =>
  readSlices(source, { position, count: elements, elementBytes }, (slice, first) => {
    for (let index = 0; index * elementBytes < slice.length; index++)
      use(read(slice, index * elementBytes), first + index)
  })

/** The dictionary that NumPy writes: three keys, in any order. */
const parseHeader = (text: string, name: string): { descr: string; fortranOrder: boolean; shape: number[] } => {
  const descr = /'descr':\s*'([^']{1,16})'/.exec(text)?.[1]
  const order = /'fortran_order':\s*(True|False)/.exec(text)?.[1]
  const sizes = /'shape':\s*\(([\d\s,L]*)\)/.exec(text)?.[1]
  if (descr === undefined || order === undefined || sizes === undefined) {
    const structured = /'descr':\s*\[/.test(text)
    throw malformed(name, structured ? 'holds records; save an array of one number type' : 'has a header that is none')
  }
  const shape = sizes
    .split(',')
    .map(size => size.trim())
    .filter(size => size !== '')
    .map(Number)
  if (shape.length > maxAxes || !shape.every(Number.isSafeInteger)) {
    throw malformed(name, `has shape (${sizes.slice(0, 80)}); at most ${maxAxes} axes are read`)
  }
  return { descr, fortranOrder: order === 'True', shape }
}

const headerPart = (source: ByteSource, position: number, length: number): Promise<Buffer> => {
  if (position + length <= source.size) return source.read(position, length)
  throw malformed(source.name, `ends after ${source.size} bytes, inside its header`)
}

const malformed = (name: string, what: string): DataError => new DataError('NPY_MALFORMED', `${name}: ${what}.`)
