/** What the kernels do that has no other function in plain TypeScript; the tests hold both against each other. */
import { SQUARE_LANES } from './square-lanes.ts'

type Floats = Float32Array | Float64Array

/** Adds the squares of a tensor's elements from `firstElement` on to the eight sums of it. */
export function addSquaresTwin(lanes: Float64Array, values: Floats, firstElement: number): void {
  for (let i = 0; i < values.length; i += 1) {
    const lane = (firstElement + i) % SQUARE_LANES
    const value = values[i] as number
    lanes[lane] = (lanes[lane] as number) + value * value
  }
}

export function firstBeyondTwin(values: Floats, bound: number): number {
  return values.findIndex((value: number) => !(Math.abs(value) <= bound))
}
