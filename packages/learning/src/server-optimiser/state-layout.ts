import type { Manifest, ManifestTensor } from '@tributary/tensors/manifest'
import { layoutSafetensors, type SafetensorsLayout } from '@tributary/tensors/safetensors/layout'
import type { TensorInfo } from '@tributary/tensors/tensor'
import { isOptimised, momentCount, type ServerOptimiser } from './server-optimiser.ts'

/**
 * The entry of a tensor in an optimiser's state; `null` where it has none. The moments of a parameter lie side by side, as
 * the last axis, so that a range of parameters is one range of the file, and a merge reads and writes it front to back.
 */
export function stateEntry(tensor: ManifestTensor, optimiser: ServerOptimiser): TensorInfo | null {
  const moments = momentCount(optimiser)
  if (moments === 0 || !isOptimised(tensor)) return null
  return { name: `moments/${tensor.name}`, dtype: 'F64', shape: [...tensor.shape, moments] }
}

/** Header and offsets of the state: F64, in manifest order, no metadata; `null` for an optimiser that keeps nothing. */
export function optimiserStateLayout(manifest: Manifest, optimiser: ServerOptimiser): SafetensorsLayout | null {
  if (momentCount(optimiser) === 0) return null
  const entries = manifest.tensors.map(tensor => stateEntry(tensor, optimiser)).filter(entry => entry !== null)
  return layoutSafetensors(entries)
}
