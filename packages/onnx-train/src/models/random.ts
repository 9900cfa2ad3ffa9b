/** A stream of pseudo-random 32-bit integers (splitmix32): small, seeded, the same everywhere. */
export const splitmix32 = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x9e3779b9) >>> 0
    let mixed = state ^ (state >>> 16)
    mixed = Math.imul(mixed, 0x21f0aaad)
    mixed ^= mixed >>> 15
    mixed = Math.imul(mixed, 0x735a2d97)
    return (mixed ^ (mixed >>> 15)) >>> 0
  }
}

/**
 * Glorot's uniform initialisation: values in ±√(6 / (fan in + fan out)). Only + − × ÷ √ on doubles and one rounding to
 * float32, so the bytes depend on the seed alone.
 */
export const glorotUniform = (next: () => number, count: number, fanIn: number, fanOut: number): Float32Array => {
  const limit = Math.sqrt(6 / (fanIn + fanOut))
  return Float32Array.from({ length: count }, () => (next() / 2 ** 31 - 1) * limit)
}
