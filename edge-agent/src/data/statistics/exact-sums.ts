/** Adding and taking it away rounds to an integer, ties to even, below 2^51. */
const rounder = 1.5 * 2 ** 52
/** One more value of at most 2^51 is still exact. */
const mostExact = 2 ** 52

/** Sums of values that are rounded to multiples of 2^−exponent: exact then, whatever the order and the number. */
export class ExactSums {
  readonly #scale: number
  readonly #exact: Float64Array
  readonly #carried: bigint[]

  /** @param exponent of values below 2^(51 − exponent) */
  constructor(count: number, exponent: number) {
    this.#scale = 2 ** exponent
    this.#exact = new Float64Array(count)
    this.#carried = Array.from({ length: count }, () => 0n)
  }

  add(index: number, value: number): void {
    const sum = (this.#exact[index] as number) + (value * this.#scale + rounder - rounder)
    this.#exact[index] = sum
    if (sum > mostExact || sum < -mostExact) this.#carry(index)
  }

  /** The sums by a number of values, in float64. */
  meansOf(count: number): Float64Array {
    return this.#exact.map((_, index) => {
      this.#carry(index)
      return Number(this.#carried[index]) / count / this.#scale
    })
  }

  #carry(index: number): void {
    this.#carried[index] = (this.#carried[index] as bigint) + BigInt(this.#exact[index] as number)
    this.#exact[index] = 0
  }
}
