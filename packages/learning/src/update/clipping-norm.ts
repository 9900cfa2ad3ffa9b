import { InvalidUpdateError } from './invalid-update-error.ts'

type Floats = Float32Array | Float64Array

/** Σx² in float64, one after the other: several lanes would give another sum. */
export function sumOfSquares(values: Floats, start = 0): number {
  let sum = start
  for (let i = 0; i < values.length; i += 1) {
    const value = values[i] as number
    sum += value * value
  }
  return sum
}

/** L2 norm of a delta over all its tensors, buffers apart; as `UpdateCheck` finds it when they come in manifest order. */
export function globalNorm(tensors: Iterable<Floats>): number {
  let sum = 0
  for (const values of tensors) sum += sumOfSquares(values)
  return Math.sqrt(sum)
}

/**
 * Clips a delta in place, on the device that made it: δ ← δ · min(1, C / ‖δ‖₂) (McMahan 2018, section 3.1).
 * Rounding may leave the norm above C by less than the tolerance of the check.
 * @param tensors every averaged tensor that is not a buffer, in manifest order
 * @returns the norm before clipping
 * @throws InvalidUpdateError NOT_FINITE
 */
export function clipLocalDelta(tensors: readonly Floats[], clippingNorm: number): number {
  const norm = globalNorm(tensors)
  if (!Number.isFinite(norm))
    throw new InvalidUpdateError('NOT_FINITE', 'the delta holds NaN or infinity: training diverged')
  if (norm <= clippingNorm) return norm
  const scale = clippingNorm / norm
  for (const values of tensors) {
    for (let i = 0; i < values.length; i += 1) values[i] = (values[i] as number) * scale
  }
  return norm
}
