import { splitmix32 } from '../models/random.ts'

const projections = 32

/** Numbers in a sketch: the norm and the signed sums. */
export const sketchLength = projections + 1

/**
 * 32 sums of a vector with random signs, drawn as fixtures/sketch.py draws them. The mean of the squared differences
 * between the sums of two vectors estimates their squared distance. Alon, Matias, Szegedy 1996
 */
export const signedSums = (seed: number, vector: ArrayLike<number>): Float64Array => {
  const next = splitmix32(seed)
  const sums = new Float64Array(projections)
  for (let index = 0; index < vector.length; index++) {
    const signs = next()
    const value = vector[index] ?? 0
    // Arithmetic, since a branch on a random bit is mispredicted every other time.
    for (let k = 0; k < projections; k++) sums[k] = (sums[k] ?? 0) + (((signs >>> k) & 1) * 2 - 1) * value
  }
  return sums
}

/** Relative L2 distance of sets of vectors from the ones whose sketches ([norm, sums] each) are given, by name. */
export const relativeDistance = (
  vectors: ReadonlyMap<string, { readonly seed: number; readonly values: ArrayLike<number> }>,
  sketches: ReadonlyMap<string, Float64Array>,
): number => {
  let squaredError = 0
  let squaredNorm = 0
  for (const [name, [norm = 0, ...expected]] of sketches) {
    const vector = vectors.get(name)
    if (vector === undefined) throw new Error(`there is no vector for ${name}`)
    signedSums(vector.seed, vector.values).forEach((sum, k) => {
      squaredError += (sum - (expected[k] ?? 0)) ** 2 / projections
    })
    squaredNorm += norm ** 2
  }
  return Math.sqrt(squaredError / squaredNorm)
}
