import { tensorBytes } from '../shape.ts'
import type { PlacedTensor, TensorInfo } from '../tensor.ts'
import { LENGTH_BYTES, METADATA_KEY } from './parse-header.ts'
import { quoteName, SafetensorsError } from './safetensors-error.ts'

export interface SafetensorsLayout {
  /** The file's first bytes: length field and header. */
  readonly header: Uint8Array
  readonly fileBytes: number
  /** In the order given. */
  readonly tensors: ReadonlyMap<string, PlacedTensor>
}

/**
 * Header and offsets of a file that holds these tensors in this order, without metadata: what a file that is written as
 * a stream begins with. The same list always gives the same bytes; the data section starts at a multiple of 8.
 * @throws SafetensorsError DUPLICATE_NAME, INVALID_NAME, INVALID_SHAPE
 */
export function layoutSafetensors(entries: Iterable<TensorInfo>): SafetensorsLayout {
  const sizes = new Map<string, { info: TensorInfo; begin: number; byteLength: number }>()
  let dataBytes = 0
  for (const info of entries) {
    const { name, dtype, shape } = info
    if (sizes.has(name)) throw new SafetensorsError('DUPLICATE_NAME', `${quoteName(name)} comes twice`, name)
    if (name === METADATA_KEY || !name.isWellFormed()) {
      throw new SafetensorsError('INVALID_NAME', `${quoteName(name)} cannot name a tensor in a safetensors file`, name)
    }
    const byteLength = tensorBytes(dtype, shape)
    if (byteLength === null) {
      throw new SafetensorsError(
        'INVALID_SHAPE',
        `tensor ${quoteName(name)}: shape [${shape}] is too large to count`,
        name,
      )
    }
    sizes.set(name, { info, begin: dataBytes, byteLength })
    dataBytes += byteLength
  }
  const members = [...sizes.values()].map(({ info, begin, byteLength }) => {
    const entry = { dtype: info.dtype, shape: info.shape, data_offsets: [begin, begin + byteLength] }
    return `${JSON.stringify(info.name)}:${JSON.stringify(entry)}`
  })
  const header = encodeHeader(`{${members.join(',')}}`)
  const tensors = new Map<string, PlacedTensor>()
  for (const { info, begin, byteLength } of sizes.values()) {
    const { name, dtype, shape } = info
    tensors.set(name, { name, dtype, shape, offset: header.byteLength + begin, byteLength })
  }
  return { header, fileBytes: header.byteLength + dataBytes, tensors }
}

// Padded with spaces to a multiple of 8, as the reference implementation does.
function encodeHeader(json: string): Uint8Array {
  const text = new TextEncoder().encode(json)
  const length = Math.ceil(text.byteLength / 8) * 8
  const header = new Uint8Array(LENGTH_BYTES + length).fill(0x20)
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true)
  header.set(text, LENGTH_BYTES)
  return header
}
