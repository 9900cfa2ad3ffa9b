import type { Manifest, ManifestTensor } from '@tributary/tensors/manifest'
import { encodeSafetensors } from '@tributary/tensors/safetensors/file'
import { layoutSafetensors, type SafetensorsLayout } from '@tributary/tensors/safetensors/layout'
import { DEFAULT_LIMITS } from '@tributary/tensors/safetensors/limits'
import { LENGTH_BYTES, parseHeader, type SafetensorsHeader } from '@tributary/tensors/safetensors/parse-header'
import { quoteName, SafetensorsError } from '@tributary/tensors/safetensors/safetensors-error'
import { sameShape } from '@tributary/tensors/shape'
import type { PlacedTensor, TensorInfo } from '@tributary/tensors/tensor'
import { InvalidUpdateError } from './invalid-update-error.ts'

/** A tensor of the manifest and where an update holds what it sends for it. */
export interface UpdatePart {
  readonly tensor: ManifestTensor
  readonly placed: PlacedTensor
}

/** Name in an update's body; `null` for tensors that stay on the device. */
export function updateName({ name, policy }: ManifestTensor): string | null {
  if (policy === 'average') return `delta/${name}`
  if (policy === 'max') return `value/${name}`
  return null
}

/** What an update holds: a delta for every tensor that is averaged, the value of every `max`, in the tensor's own dtype. */
export function updateEntries(manifest: Manifest): TensorInfo[] {
  const entries: TensorInfo[] = []
  for (const tensor of manifest.tensors) {
    const name = updateName(tensor)
    if (name !== null) entries.push({ name, dtype: tensor.dtype, shape: tensor.shape })
  }
  return entries
}

/** Header, offsets and size of an update in manifest order, as devices of Tributary write it. */
export function updateLayout(manifest: Manifest): SafetensorsLayout {
  return layoutSafetensors(updateEntries(manifest))
}

/** Most bytes that an update may declare; the order of its tensors is free, so its exact size is known after its header. */
export function maxUpdateBytes(manifest: Manifest): number {
  const { fileBytes, header } = updateLayout(manifest)
  return LENGTH_BYTES + DEFAULT_LIMITS.maxHeaderBytes + fileBytes - header.byteLength
}

/**
 * An update's body in memory.
 * @param content bytes by tensor name of the manifest: deltas, and values for `max`; others are left out
 */
export function encodeUpdate(manifest: Manifest, content: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const sent = manifest.tensors.flatMap(tensor => {
    const name = updateName(tensor)
    if (name === null) return []
    const bytes = content.get(tensor.name)
    if (bytes === undefined)
      throw new InvalidUpdateError('TENSOR_MISSING', `no content for ${quoteName(name)}`, tensor.name)
    return [{ name, dtype: tensor.dtype, shape: tensor.shape, bytes }]
  })
  return encodeSafetensors(sent)
}

/**
 * Reads an update's header as `parseHeader` does, refusing with the codes of an update.
 * @param start the beginning of the body, at least its header
 * @param bodyBytes size of the whole body
 * @throws InvalidUpdateError BODY_MALFORMED, TENSOR_MISSING, TENSOR_UNEXPECTED, TENSOR_MISMATCH
 */
export function readUpdateHeader(start: Uint8Array, bodyBytes: number, manifest: Manifest): UpdatePart[] {
  let header: SafetensorsHeader
  try {
    header = parseHeader(start, { fileBytes: bodyBytes })
  } catch (error) {
    if (!(error instanceof SafetensorsError)) throw error
    throw new InvalidUpdateError('BODY_MALFORMED', error.message, error.tensor, { cause: error })
  }
  return checkUpdateHeader(header, manifest)
}

/**
 * Holds an update's tensors against the manifest, by name only.
 * @returns what the update sends, in manifest order
 * @throws InvalidUpdateError TENSOR_MISSING, TENSOR_UNEXPECTED, TENSOR_MISMATCH, naming the tensor
 */
export function checkUpdateHeader(header: SafetensorsHeader, manifest: Manifest): UpdatePart[] {
  const parts: UpdatePart[] = []
  const expected = new Set<string>()
  for (const tensor of manifest.tensors) {
    const name = updateName(tensor)
    if (name === null) continue
    expected.add(name)
    const placed = header.tensors.get(name)
    if (placed === undefined) {
      throw new InvalidUpdateError('TENSOR_MISSING', `the update lacks ${quoteName(name)}`, tensor.name)
    }
    if (placed.dtype !== tensor.dtype || !sameShape(placed.shape, tensor.shape)) {
      const message = `${quoteName(name)} is ${placed.dtype} [${placed.shape}]; the manifest says ${tensor.dtype} [${tensor.shape}]`
      throw new InvalidUpdateError('TENSOR_MISMATCH', message, tensor.name)
    }
    parts.push({ tensor, placed })
  }
  for (const name of header.tensors.keys()) {
    if (!expected.has(name)) {
      throw new InvalidUpdateError('TENSOR_UNEXPECTED', `the manifest asks for no ${quoteName(name)}`, name)
    }
  }
  return parts
}
