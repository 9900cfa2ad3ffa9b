import { SumError } from './sum-error.ts'

/** Sums within their bounds do not pass it (`sumExponent`). */
const LARGEST_SUM = 2 ** 62
const HIGH_UNIT = 2 ** 32

/**
 * Exact sums of int64 numbers, element by element, without BigInt: high and low halves are added apart, as float64. Both stay
 * exact for 2^21 summands, and their sum is rounded once: the float64 nearest to the exact sum. Used again and again, so
 * that a merge does not allocate for each of its parts.
 */
export class Int64Sums {
  #high = new Float64Array(0)
  #low = new Float64Array(0)
  #length = 0

  /** Begins `length` sums of nothing. */
  begin(length: number): void {
    if (this.#high.length < length) {
      this.#high = new Float64Array(length)
      this.#low = new Float64Array(length)
    }
    this.#high.fill(0, 0, length)
    this.#low.fill(0, 0, length)
    this.#length = length
  }

  /** Adds one number to each sum from `first` on. */
  add(first: number, numbers: BigInt64Array): void {
    if (first + numbers.length > this.#length) throw new RangeError(`no ${numbers.length} sums from ${first}`)
    const words = new Int32Array(numbers.buffer, numbers.byteOffset, 2 * numbers.length)
    const high = this.#high.subarray(first, first + numbers.length)
    const low = this.#low.subarray(first, first + numbers.length)
    for (let i = 0; i < high.length; i += 1) {
      low[i] = (low[i] as number) + ((words[2 * i] as number) >>> 0)
      high[i] = (high[i] as number) + (words[2 * i + 1] as number)
    }
  }

  /**
   * float64(Σ) / float64(totalWeight) · 2^−exponent of a range of the sums, in place: it holds until the next `begin`.
   * @throws SumError SUM_WOULD_OVERFLOW where a sum is beyond what an attempt can add up to
   */
  means(first: number, length: number, totalWeight: bigint, exponent: number): Float64Array {
    const high = this.#high.subarray(first, first + length)
    const low = this.#low.subarray(first, first + length)
    const divisor = Number(totalWeight)
    const unit = 2 ** -exponent
    let largest = 0
    for (let i = 0; i < high.length; i += 1) {
      const sum = (high[i] as number) * HIGH_UNIT + (low[i] as number)
      largest = Math.max(largest, Math.abs(sum))
      high[i] = (sum / divisor) * unit
    }
    if (largest > LARGEST_SUM) {
      throw new SumError('SUM_WOULD_OVERFLOW', 'the sum of the shards is beyond 2^62: a shard sum is wrong')
    }
    return high
  }
}
