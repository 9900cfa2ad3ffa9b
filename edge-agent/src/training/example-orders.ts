import { TrainingError } from './training-error.ts'

/**
 * One seeded permutation of 0 … examples − 1 a local epoch. Same seed (at least 16 bytes, the first 16 count), same
 * orders on every machine. Fisher–Yates over the sfc32 generator, without modulo bias.
 */
export const exampleOrders = (seed: Uint8Array, examples: number, localEpochs: number): Int32Array[] => {
  if (seed.length < 16) {
    throw new TrainingError('SETTINGS_INVALID', `The order seed has ${seed.length} bytes. Give at least 16.`)
  }
  const view = new DataView(seed.buffer, seed.byteOffset, 16)
  const next = sfc32(view.getUint32(0), view.getUint32(4), view.getUint32(8), view.getUint32(12))
  return Array.from({ length: localEpochs }, () => permutation(examples, next))
}

const permutation = (length: number, next: () => number): Int32Array => {
  const order = Int32Array.from({ length }, (_, index) => index)
  for (let last = length - 1; last > 0; last--) {
    const other = below(last + 1, next)
    const value = order[last] ?? 0
    order[last] = order[other] ?? 0
    order[other] = value
  }
  return order
}

/** A number in 0 … bound − 1: draws above the last whole multiple of the bound are thrown away. */
const below = (bound: number, next: () => number): number => {
  const limit = 2 ** 32 - (2 ** 32 % bound)
  let draw = next()
  while (draw >= limit) draw = next()
  return draw % bound
}

/** Chris Doty-Humphrey's small fast counter generator, 32 bit. */
const sfc32 = (a: number, b: number, c: number, counter: number): (() => number) => {
  const draw = (): number => {
    const sum = (a + b + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + sum
    return sum >>> 0
  }
  // The first draws still show the seed.
  for (let warmUp = 0; warmUp < 16; warmUp++) draw()
  return draw
}
