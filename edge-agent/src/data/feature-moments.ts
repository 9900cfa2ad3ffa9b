import { DataError } from './data-error.ts'
import type { RowSource } from './rows/row-source.ts'

/** The fixed point of a sum over many devices: the same on all of them. */
export type MomentsFormat = {
  /** No value's magnitude is above 2^boundLog2. */
  readonly boundLog2: number
  /** All devices together have at most 2^examplesLog2 examples. */
  readonly examplesLog2: number
}

/**
 * Integers that add up over devices in any order: per feature Σ round(x · 2^sumExponent) and Σ round(x² · 2^squareExponent).
 * So mean = Σ / n · 2^−sumExponent, and the variance is the mean square less the square of the mean.
 */
export type FeatureMoments = {
  readonly examples: bigint
  readonly sumExponent: number
  readonly squareExponent: number
  readonly sums: readonly bigint[]
  readonly squares: readonly bigint[]
}

/** Bytes of rows in memory at once. */
const sliceBytes = 2 ** 20
/** Adding and taking it away rounds to an integer, ties to even, below 2^51. */
const rounder = 1.5 * 2 ** 52

/**
 * Moments of every feature, exact for the rounded values whatever the order of rows and devices; none of their sums leaves
 * int64 (docs/architecture, the sum). Throws FEATURES_UNUSABLE for a value beyond the bound, TOO_LARGE for more examples
 * than the format allows, RangeError for a format without room for fractions.
 */
export const featureMoments = async (
  rows: RowSource,
  { boundLog2, examplesLog2 }: MomentsFormat,
): Promise<FeatureMoments> => {
  // |round(x · 2^e)| ≤ 2^(62 − examplesLog2), and below 2^51 so that float64 holds it and rounds it.
  const room = Math.min(50, 62 - examplesLog2)
  const sumExponent = room - boundLog2
  const squareExponent = room - 2 * boundLog2
  if (!(examplesLog2 >= 0 && squareExponent >= 0)) {
    throw new RangeError(`values to 2^${boundLog2} of 2^${examplesLog2} examples leave no room for fractions`)
  }
  const { examples, featuresPerRow } = rows
  if (examples > 2 ** examplesLog2) {
    throw new DataError(
      'TOO_LARGE',
      `${examples} examples are more than the 2^${examplesLog2} of all devices together.`,
    )
  }
  const sums = new BigSums(featuresPerRow, room)
  const squares = new BigSums(featuresPerRow, room)
  const order = Int32Array.from({ length: examples }, (_, row) => row)
  const most = Math.max(1, Math.floor(sliceBytes / (4 * featuresPerRow)))
  const [sumScale, squareScale, bound] = [2 ** sumExponent, 2 ** squareExponent, 2 ** boundLog2]
  for (let first = 0; first < examples; first += most) {
    const to = Math.min(first + most, examples)
    const { features } = await rows.readRows(order, first, to)
    for (let row = 0; row < to - first; row++) {
      for (let feature = 0; feature < featuresPerRow; feature++) {
        const value = features[row * featuresPerRow + feature] as number
        if (!(Math.abs(value) <= bound)) throw beyond(first + row, feature, boundLog2)
        sums.add(feature, value * sumScale)
        squares.add(feature, value * value * squareScale)
      }
      sums.endRow()
      squares.endRow()
    }
  }
  return { examples: BigInt(examples), sumExponent, squareExponent, sums: sums.totals(), squares: squares.totals() }
}

/** Sums of integers that are exact in float64 for a while, and are carried over before they would not be. */
class BigSums {
  readonly #exact: Float64Array
  readonly #totals: bigint[]
  readonly #mostRows: number
  #rows = 0

  constructor(count: number, room: number) {
    this.#exact = new Float64Array(count)
    this.#totals = Array.from({ length: count }, () => 0n)
    this.#mostRows = 2 ** (53 - room)
  }

  add(index: number, value: number): void {
    this.#exact[index] = (this.#exact[index] as number) + (value + rounder - rounder)
  }

  endRow(): void {
    if (++this.#rows === this.#mostRows) this.totals()
  }

  totals(): readonly bigint[] {
    for (const [index, exact] of this.#exact.entries())
      this.#totals[index] = (this.#totals[index] as bigint) + BigInt(exact)
    this.#exact.fill(0)
    this.#rows = 0
    return this.#totals
  }
}

const beyond = (row: number, feature: number, boundLog2: number): DataError =>
  new DataError(
    'FEATURES_UNUSABLE',
    `Example ${row + 1}, feature ${feature + 1}: its magnitude is above 2^${boundLog2}. Declare a "scale".`,
  )
