import { isFloat, type TensorArray, viewOf } from './datatype.ts'
import type { InferenceTensor } from './tensor.ts'

/** Whether every number of the floating-point tensors is finite. */
export const allFinite = (tensors: readonly InferenceTensor[]): boolean =>
  tensors.every(({ datatype, bytes }) => !isFloat(datatype) || isFiniteArray(viewOf(datatype, bytes)))

const isFiniteArray = (array: TensorArray): boolean => {
  // Bits of FP16: infinities and NaN have all bits of the exponent.
  if (array instanceof Uint16Array) return array.every(bits => (bits & 0x7c00) !== 0x7c00)
  for (const value of array) if (!Number.isFinite(value as number)) return false
  return true
}
