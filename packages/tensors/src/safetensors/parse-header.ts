import { isDtype } from '../dtype.ts'
import { elementCount, MAX_RANK, tensorBytes } from '../shape.ts'
import type { PlacedTensor } from '../tensor.ts'
import { HeaderReader } from './header-reader.ts'
import { DEFAULT_LIMITS, type SafetensorsLimits } from './limits.ts'
import { quoteName, SafetensorsError } from './safetensors-error.ts'

/** Bytes of the length that a file begins with. */
export const LENGTH_BYTES = 8

/** A key of the header that holds strings about the file, not a tensor. */
export const METADATA_KEY = '__metadata__'

export interface SafetensorsHeader {
  /** Where the data section begins: the length field and the JSON text. */
  readonly headerBytes: number
  /** Size that the whole file must have. */
  readonly fileBytes: number
  /** By name, in the order of their data. */
  readonly tensors: ReadonlyMap<string, PlacedTensor>
  readonly metadata: ReadonlyMap<string, string>
}

/**
 * Size of length field and header together, from the first 8 bytes of a file: what to read before `parseHeader`.
 * @throws SafetensorsError TRUNCATED, HEADER_TOO_LARGE
 */
export function readHeaderBytes(start: Uint8Array, limits: SafetensorsLimits = DEFAULT_LIMITS): number {
  if (start.byteLength < LENGTH_BYTES) {
    throw new SafetensorsError(
      'TRUNCATED',
      `safetensors file ends after ${start.byteLength} bytes, inside its length field`,
    )
  }
  const length = new DataView(start.buffer, start.byteOffset, LENGTH_BYTES).getBigUint64(0, true)
  if (length > BigInt(limits.maxHeaderBytes)) {
    throw new SafetensorsError(
      'HEADER_TOO_LARGE',
      `safetensors header claims ${length} bytes; at most ${limits.maxHeaderBytes} are accepted`,
    )
  }
  return LENGTH_BYTES + Number(length)
}

/**
 * Reads and checks the header of a safetensors file: every offset, size and name is consistent afterwards.
 * @param start the beginning of the file, at least length field and header
 * @param fileBytes size of the whole file when it is known; it must then be what the header says
 * @throws SafetensorsError
 */
export function parseHeader(
  start: Uint8Array,
  { limits = DEFAULT_LIMITS, fileBytes }: { limits?: SafetensorsLimits; fileBytes?: number } = {},
): SafetensorsHeader {
  const headerBytes = readHeaderBytes(start, limits)
  if (start.byteLength < headerBytes) {
    throw new SafetensorsError(
      'TRUNCATED',
      `safetensors file ends after ${start.byteLength} bytes, inside its header of ${headerBytes} bytes`,
    )
  }
  const { entries, metadata } = readEntries(decodeText(start.subarray(LENGTH_BYTES, headerBytes)), limits)
  const { tensors, dataBytes } = placeTensors(entries, headerBytes)
  const header = { headerBytes, fileBytes: headerBytes + dataBytes, tensors, metadata }
  if (fileBytes !== undefined) checkFileBytes(header, fileBytes)
  return header
}

function checkFileBytes(header: SafetensorsHeader, fileBytes: number): void {
  if (fileBytes === header.fileBytes) return
  const code = fileBytes < header.fileBytes ? 'TRUNCATED' : 'TRAILING_BYTES'
  throw new SafetensorsError(code, `safetensors file has ${fileBytes} bytes; its header describes ${header.fileBytes}`)
}

function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new SafetensorsError('NOT_UTF8', 'safetensors header is not UTF-8')
  }
}

/** `begin` and `end` count from the data section. */
interface Entry {
  readonly tensor: Omit<PlacedTensor, 'offset'>
  readonly begin: number
  readonly end: number
}

function readEntries(
  text: string,
  limits: SafetensorsLimits,
): { entries: Map<string, Entry>; metadata: Map<string, string> } {
  const reader = new HeaderReader(text)
  const entries = new Map<string, Entry>()
  let metadata: Map<string, string> | undefined
  for (const name of reader.keys()) {
    if (name === METADATA_KEY) {
      if (metadata) throw duplicateName(name)
      metadata = readMetadata(reader)
      continue
    }
    checkName(name, limits)
    if (entries.has(name)) throw duplicateName(name)
    if (entries.size === limits.maxTensors) {
      throw new SafetensorsError('TOO_MANY_TENSORS', `safetensors header has more than ${limits.maxTensors} tensors`)
    }
    entries.set(name, readEntry(reader, name))
  }
  reader.end()
  return { entries, metadata: metadata ?? new Map() }
}

function duplicateName(name: string): SafetensorsError {
  return new SafetensorsError('DUPLICATE_NAME', `safetensors header has ${quoteName(name)} twice`, name)
}

function checkName(name: string, limits: SafetensorsLimits): void {
  if (name.length > limits.maxNameLength) {
    const message = `tensor ${quoteName(name)}: its name has ${name.length} characters; at most ${limits.maxNameLength} are accepted`
    throw new SafetensorsError('INVALID_NAME', message)
  }
  if (!name.isWellFormed()) {
    throw new SafetensorsError('INVALID_NAME', `tensor ${quoteName(name)}: its name has half a surrogate pair`, name)
  }
}

function readMetadata(reader: HeaderReader): Map<string, string> {
  const metadata = new Map<string, string>()
  for (const key of reader.keys()) {
    if (metadata.has(key)) throw duplicateName(key)
    metadata.set(key, reader.string())
  }
  return metadata
}

function readEntry(reader: HeaderReader, name: string): Entry {
  let dtype: string | undefined
  let shape: (number | null)[] | undefined
  let offsets: (number | null)[] | undefined
  for (const key of reader.keys()) {
    if (key === 'dtype' && dtype === undefined) dtype = reader.string()
    else if (key === 'shape' && shape === undefined) shape = readNumbers(reader, MAX_RANK)
    else if (key === 'data_offsets' && offsets === undefined) offsets = readNumbers(reader, 2)
    else throw malformed(name, `unknown or repeated field ${quoteName(key)}`)
  }
  if (dtype === undefined || shape === undefined || offsets === undefined) {
    throw malformed(name, 'needs dtype, shape and data_offsets')
  }
  return checkEntry(name, dtype, shape, offsets)
}

// One number more than allowed is enough to know that there are too many.
function readNumbers(reader: HeaderReader, most: number): (number | null)[] {
  const numbers: (number | null)[] = []
  for (const _ of reader.items()) {
    const number = reader.naturalNumber()
    if (numbers.length <= most) numbers.push(number)
  }
  return numbers
}

function checkEntry(name: string, dtype: string, shape: (number | null)[], offsets: (number | null)[]): Entry {
  if (!isDtype(dtype)) {
    throw new SafetensorsError('UNKNOWN_DTYPE', `tensor ${quoteName(name)}: unknown dtype ${quoteName(dtype)}`, name)
  }
  const sizes = shape.filter(size => size !== null)
  const byteLength = tensorBytes(dtype, sizes)
  if (sizes.length !== shape.length || shape.length > MAX_RANK || elementCount(sizes) === null || byteLength === null) {
    const message = `tensor ${quoteName(name)}: its shape has more than ${MAX_RANK} axes or is too large to count`
    throw new SafetensorsError('INVALID_SHAPE', message, name)
  }
  const [begin, end] = offsets
  if (offsets.length !== 2 || begin == null || end == null || end < begin) {
    const message = `tensor ${quoteName(name)}: data_offsets must be two safe integers [begin, end] with begin ≤ end`
    throw new SafetensorsError('INVALID_OFFSETS', message, name)
  }
  if (end - begin !== byteLength) {
    const message = `tensor ${quoteName(name)}: ${dtype} of shape [${sizes}] takes ${byteLength} bytes, its data_offsets [${begin}, ${end}] span ${end - begin}`
    throw new SafetensorsError('SIZE_MISMATCH', message, name)
  }
  return { tensor: { name, dtype, shape: sizes, byteLength }, begin, end }
}

function malformed(name: string, what: string): SafetensorsError {
  return new SafetensorsError('MALFORMED_ENTRY', `tensor ${quoteName(name)}: ${what}`, name)
}

/** Tensors must fill the data section without gap or overlap: two readers then always see the same bytes. */
function placeTensors(
  entries: Map<string, Entry>,
  headerBytes: number,
): { tensors: Map<string, PlacedTensor>; dataBytes: number } {
  const inFileOrder = [...entries.values()].sort((a, b) => a.begin - b.begin || a.end - b.end)
  const tensors = new Map<string, PlacedTensor>()
  let dataBytes = 0
  for (const { tensor, begin, end } of inFileOrder) {
    if (begin !== dataBytes) {
      const [code, what] =
        begin < dataBytes ? (['OVERLAP', 'overlaps'] as const) : (['GAP', 'leaves a gap after'] as const)
      const message = `tensor ${quoteName(tensor.name)}: its data at ${begin} ${what} what ends at ${dataBytes}`
      throw new SafetensorsError(code, message, tensor.name)
    }
    if (!Number.isSafeInteger(headerBytes + end)) {
      throw new SafetensorsError(
        'INVALID_OFFSETS',
        `tensor ${quoteName(tensor.name)}: ends beyond any file`,
        tensor.name,
      )
    }
    tensors.set(tensor.name, { ...tensor, offset: headerBytes + begin })
    dataBytes = end
  }
  return { tensors, dataBytes }
}
