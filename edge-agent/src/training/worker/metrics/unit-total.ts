import { UNIT } from '@tributary/learning/evaluation/sums'

/** Integers of which fewer than 2^12 add up exactly in a double. */
const small = 2 ** 40
const exact = 2 ** 52

/** A sum of real numbers, each rounded to a multiple of 2^-20: exact at any size, and so the same in any order. */
export class UnitTotal {
  #units = 0n
  #rest = 0

  /** @param most a number beyond it counts as so much, with its sign; one that is not a number as well */
  add(value: number, most: number): void {
    const bounded = Number.isNaN(value) ? most : Math.max(-most, Math.min(value, most))
    const units = Math.round(bounded * UNIT)
    if (units > small || units < -small) {
      this.#units += BigInt(units)
      return
    }
    this.#rest += units
    if (this.#rest > exact || this.#rest < -exact) this.#carry()
  }

  /** In units of 2^-20. */
  get units(): bigint {
    this.#carry()
    return this.#units
  }

  #carry(): void {
    this.#units += BigInt(this.#rest)
    this.#rest = 0
  }
}
