/** Uniform numbers in [0, 1) from a seed: mulberry32 by Tommy Ettinger. Not for secrets. */
export type Random = () => number

export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A time with the exponential distribution of this mean: the idle life of something that is taken away without memory. */
export function exponential(random: Random, mean: number): number {
  return -Math.log(1 - random()) * mean
}
