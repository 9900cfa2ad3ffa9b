/**
 * Seeded random numbers: xoshiro128** 1.1 (Blackman and Vigna 2018, https://prng.di.unimi.it/xoshiro128starstar.c).
 * The same seed gives the same numbers on every machine. Not for secrets.
 */
export class SeededRandom {
  readonly #state: Uint32Array

  /** @param seed at least 16 bytes; the first 16 are the state, little-endian */
  constructor(seed: Uint8Array) {
    if (seed.byteLength < 16) throw new RangeError(`a seed has at least 16 bytes, not ${seed.byteLength}`)
    const view = new DataView(seed.buffer, seed.byteOffset)
    this.#state = Uint32Array.from({ length: 4 }, (_, word) => view.getUint32(4 * word, true))
    // The one state that the generator cannot leave.
    if (this.#state.every(word => word === 0)) this.#state[0] = 1
  }

  /** Uniform over 0 … 2^32 − 1. */
  uint32(): number {
    const state = this.#state
    const [s0, s1, s2, s3] = state as unknown as [number, number, number, number]
    const result = Math.imul(rotateLeft(Math.imul(s1, 5), 7), 9) >>> 0
    state[0] = s0 ^ s3 ^ s1
    state[1] = s1 ^ s2 ^ s0
    state[2] = s2 ^ s0 ^ (s1 << 9)
    state[3] = rotateLeft(s3 ^ s1, 11)
    return result
  }

  /**
   * Uniform over 0 … bound − 1: numbers that would favour the small remainders are drawn again.
   * @param bound 1 … 2^32
   */
  below(bound: number): number {
    if (!Number.isInteger(bound) || bound < 1 || bound > 2 ** 32) throw new RangeError(`bound ${bound}: 1 to 2^32`)
    const limit = 2 ** 32 - (2 ** 32 % bound)
    for (;;) {
      const number = this.uint32()
      if (number < limit) return number % bound
    }
  }

  /** Uniform over the multiples of 2^-53 in [0, 1). */
  unit(): number {
    const high = this.uint32() >>> 5
    const low = this.uint32() >>> 6
    return (high * 2 ** 26 + low) * 2 ** -53
  }

  /** Standard normal (Box and Muller 1958). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.unit()))
    return radius * Math.cos(2 * Math.PI * this.unit())
  }

  /** Shuffles in place (Durstenfeld 1964). */
  shuffle<T extends { length: number; [index: number]: unknown }>(list: T): T {
    for (let last = list.length - 1; last > 0; last -= 1) {
      const other = this.below(last + 1)
      const kept = list[last]
      list[last] = list[other]
      list[other] = kept
    }
    return list
  }
}

function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits))
}
