import { SumError } from './sum-error.ts'

/** Limits within which every scale 2^e, and every product with it, is a normal float64. */
const MAX_WEIGHT_CAP = 2 ** 24
const MAX_UPDATES = 2 ** 31
const MIN_BOUND = 2 ** -64
const MAX_BOUND = 2 ** 64

const BOUND_WITHOUT_CLIPPING = 2 ** 10

/** How far beyond the clipping norm rounding on the device may carry an update. */
export const NORM_TOLERANCE = 1.001

/**
 * The exponent e of a sum: an update adds roundTiesToEven(δ · w · 2^e).
 *
 * With |δ| ≤ B and w ≤ W a summand is at most 2^51, where rounding in float64 is exact to the unit, and N of them
 * at most 2^62, so the sum cannot leave int64.
 * @param bound B, a power of two
 * @param weightCap W, an integer up to 2^24
 * @param maxUpdates N, over all regions
 * @throws SumError SUM_WOULD_OVERFLOW when an argument is not within its limits
 */
export function sumExponent({
  bound,
  weightCap,
  maxUpdates,
}: {
  bound: number
  weightCap: number
  maxUpdates: number
}): number {
  if (!Number.isInteger(weightCap) || weightCap < 1 || weightCap > MAX_WEIGHT_CAP) {
    throw new SumError('SUM_WOULD_OVERFLOW', `weight cap ${weightCap}: must be an integer from 1 to 2^24`)
  }
  if (!Number.isInteger(maxUpdates) || maxUpdates < 1 || maxUpdates > MAX_UPDATES) {
    throw new SumError('SUM_WOULD_OVERFLOW', `${maxUpdates} updates: must be an integer from 1 to 2^31`)
  }
  if (!(bound >= MIN_BOUND && bound <= MAX_BOUND) || 2 ** ceilLog2(bound) !== bound) {
    throw new SumError('SUM_WOULD_OVERFLOW', `bound ${bound}: must be a power of two from 2^-64 to 2^64`)
  }
  return Math.min(51, 62 - ceilLog2(maxUpdates)) - ceilLog2(weightCap * bound)
}

/**
 * B for deltas clipped to a norm: the least power of two ≥ 1.001 · C; 2^10 without clipping.
 * @throws SumError SUM_WOULD_OVERFLOW when the norm is not a positive number that a bound can cover
 */
export function boundFor(clippingNorm: number | null): number {
  if (clippingNorm === null) return BOUND_WITHOUT_CLIPPING
  const least = NORM_TOLERANCE * clippingNorm
  if (!(clippingNorm > 0 && least <= MAX_BOUND)) {
    throw new SumError('SUM_WOULD_OVERFLOW', `clipping norm ${clippingNorm}: must be positive and at most 2^63`)
  }
  return Math.max(MIN_BOUND, 2 ** ceilLog2(least))
}

/** ⌈log2 x⌉ of a positive number; `Math.log2` alone may be off by one beside a power of two. */
export function ceilLog2(x: number): number {
  let exponent = Math.round(Math.log2(x))
  while (2 ** exponent < x) exponent += 1
  while (2 ** (exponent - 1) >= x) exponent -= 1
  return exponent
}
