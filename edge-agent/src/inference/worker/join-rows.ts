import type { InferenceTensor } from '../tensor.ts'

/**
 * Inputs of several requests, joined along the first dimension: one tensor for each input, in the order of the first request.
 * All have the same names, datatypes and inner dimensions.
 */
export const joinRows = (parts: readonly (readonly InferenceTensor[])[]): readonly InferenceTensor[] => {
  const [first = []] = parts
  if (parts.length === 1) return first
  return first.map(({ name, datatype, shape: [, ...inner] }) => {
    const same = parts.map(part => part.find(tensor => tensor.name === name) as InferenceTensor)
    const bytes = new Uint8Array(same.reduce((sum, tensor) => sum + tensor.bytes.length, 0))
    let at = 0
    let rows = 0
    for (const tensor of same) {
      bytes.set(tensor.bytes, at)
      at += tensor.bytes.length
      rows += tensor.shape[0] ?? 0
    }
    return { name, datatype, shape: [rows, ...inner], bytes }
  })
}

/** Rows of a tensor, as a view. */
export const rowsOf = (tensor: InferenceTensor, from: number, to: number): InferenceTensor => {
  const [rows = 0, ...inner] = tensor.shape
  const rowBytes = rows === 0 ? 0 : tensor.bytes.length / rows
  return { ...tensor, shape: [to - from, ...inner], bytes: tensor.bytes.subarray(from * rowBytes, to * rowBytes) }
}
