/** Sums of squares that a norm is taken in; element i of a tensor goes to sum i mod 8. */
export const SQUARE_LANES = 8

/** Σ of the eight sums, in one order. */
export function totalOfLanes(lanes: Float64Array): number {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = lanes
  return a + b + (c + d) + (e + f + (g + h))
}
