import type { Kernels } from '@tributary/learning/kernels/kernels'
import type { FloatDtype } from '@tributary/tensors/dtype'
import type { Slice } from '../round-plan.ts'

/**
 * Adds a slice to the sums of its elements.
 * @param from address of the slice
 * @param into address of the first of the sums
 */
export function addSlice(
  kernels: Kernels,
  { term, elements, bytes }: Slice,
  { from, into }: { from: number; into: number },
  weight: number,
): void {
  const { tensor, unit } = term
  if (tensor.policy === 'max') kernels.keepMaximum(tensor.dtype, from, into, bytes)
  else kernels.addQuantised(tensor.dtype as FloatDtype, from, into, elements, weight * unit)
}
