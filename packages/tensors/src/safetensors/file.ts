import type { PlacedTensor, Tensor } from '../tensor.ts'
import { layoutSafetensors } from './layout.ts'
import { DEFAULT_LIMITS, type SafetensorsLimits } from './limits.ts'
import { parseHeader } from './parse-header.ts'
import { quoteName, SafetensorsError } from './safetensors-error.ts'

/**
 * A whole file in memory, tensors in the order given, without metadata. For models that do not fit, `layoutSafetensors`.
 * @throws SafetensorsError as `layoutSafetensors`, and SIZE_MISMATCH when a tensor's bytes are not what its shape takes
 */
export function encodeSafetensors(tensors: Iterable<Tensor>): Uint8Array {
  const list = [...tensors]
  const layout = layoutSafetensors(list)
  const file = new Uint8Array(layout.fileBytes)
  file.set(layout.header)
  for (const { name, bytes } of list) {
    const { offset, byteLength } = layout.tensors.get(name) as PlacedTensor
    if (bytes.byteLength !== byteLength) {
      const message = `tensor ${quoteName(name)}: has ${bytes.byteLength} bytes, its shape takes ${byteLength}`
      throw new SafetensorsError('SIZE_MISMATCH', message, name)
    }
    file.set(bytes, offset)
  }
  return file
}

/**
 * Tensors of a whole file in memory, in the order of their data; their bytes are views into the file.
 * @throws SafetensorsError
 */
export function decodeSafetensors(file: Uint8Array, limits: SafetensorsLimits = DEFAULT_LIMITS): Map<string, Tensor> {
  const header = parseHeader(file, { limits, fileBytes: file.byteLength })
  const tensors = new Map<string, Tensor>()
  for (const { name, dtype, shape, offset, byteLength } of header.tensors.values()) {
    tensors.set(name, { name, dtype, shape, bytes: file.subarray(offset, offset + byteLength) })
  }
  return tensors
}
