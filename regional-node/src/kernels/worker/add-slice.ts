import type { Kernels } from '@tributary/learning/kernels/kernels'
import type { FloatDtype } from '@tributary/tensors/dtype'
import { SLICE_ADDRESS, type Slice } from '../round-plan.ts'

/**
 * Adds the slice at SLICE_ADDRESS to the sums of its elements.
 * @param into address of the first of them
 */
export function addSlice(kernels: Kernels, { term, elements, bytes }: Slice, into: number, weight: number): void {
  const { tensor, unit } = term
  if (tensor.policy === 'max') kernels.keepMaximum(tensor.dtype, SLICE_ADDRESS, into, bytes)
  else kernels.addQuantised(tensor.dtype as FloatDtype, SLICE_ADDRESS, into, elements, weight * unit)
}
