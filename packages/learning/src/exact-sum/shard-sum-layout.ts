import type { Manifest, ManifestTensor } from '@tributary/tensors/manifest'
import { layoutSafetensors, type SafetensorsLayout } from '@tributary/tensors/safetensors/layout'
import { elementCount } from '@tributary/tensors/shape'
import type { TensorInfo } from '@tributary/tensors/tensor'
import { SumError } from './sum-error.ts'

/** The entry of a tensor in a shard sum; `null` for tensors that stay on the device. */
export function shardSumEntry({ name, dtype, shape, policy }: ManifestTensor): TensorInfo | null {
  if (policy === 'average') return { name: `sum/${name}`, dtype: 'I64', shape }
  if (policy === 'max') return { name: `max/${name}`, dtype, shape }
  return null
}

/** Header and offsets of a shard sum: I64 for `average`, the tensor's dtype for `max`, in manifest order, no metadata. */
export function shardSumLayout(manifest: Manifest): SafetensorsLayout {
  return layoutSafetensors(manifest.tensors.map(shardSumEntry).filter(entry => entry !== null))
}

/** Elements of a tensor of a valid manifest. */
export function elementsOf(tensor: ManifestTensor): number {
  return elementCount(tensor.shape) as number
}

/**
 * Shard sums have one possible header for a manifest.
 * @param start the beginning of the file, at least as long as the layout's header
 * @throws SumError SHARD_SUM_MALFORMED
 */
export function checkShardSumHeader(
  start: Uint8Array,
  fileBytes: number,
  { header, ...layout }: SafetensorsLayout,
): void {
  if (fileBytes !== layout.fileBytes || !header.every((byte, i) => byte === start[i])) {
    throw new SumError('SHARD_SUM_MALFORMED', 'the shard sum was not made for this manifest: header or size differ')
  }
}
