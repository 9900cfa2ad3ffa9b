import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../seeded/random.ts'
import { deriveSeed } from '../seeded/seed.ts'
import { addQuantised } from './add-quantised.ts'
import { sumExponent } from './exponent.ts'
import { Int64Sums } from './int64-sums.ts'

/** Deltas whose magnitudes spread evenly over the decades from 1e-8 to 1e-2. */
function syntheticDelta(random: SeededRandom, length: number): Float32Array {
  return Float32Array.from({ length }, () => (random.unit() < 0.5 ? -1 : 1) * 10 ** (-8 + 6 * random.unit()))
}

for (const { title, weightCap, weights } of [
  { title: 'examples', weightCap: 2 ** 16, weights: (random: SeededRandom) => 100 + random.below(6_000) },
  { title: 'uniform', weightCap: 1, weights: () => 1 },
]) {
  test(`the mean is within 1e-6 of that in float64, and each value within its bound (${title})`, () => {
    const length = 20_000
    const devices = 50
    const exponent = sumExponent({ bound: 2 ** 10, weightCap, maxUpdates: 1000 })
    const random = new SeededRandom(deriveSeed('test', title))
    const sum = new BigInt64Array(length)
    const plain = new Float64Array(length)
    let totalWeight = 0
    for (let device = 0; device < devices; device += 1) {
      const delta = syntheticDelta(random, length)
      const weight = weights(random)
      totalWeight += weight
      addQuantised(sum, delta, weight * 2 ** exponent)
      for (let i = 0; i < length; i += 1) plain[i] = (plain[i] as number) + weight * (delta[i] as number)
    }
    const sums = new Int64Sums()
    sums.begin(length)
    sums.add(0, sum)
    const mean = sums.means(0, length, BigInt(totalWeight), exponent)
    // Half a unit from each device, divided by the weights; float64 itself strays by less than 1e-14 of the largest mean.
    const bound = (devices / 2) * (2 ** -exponent / totalWeight) + 1e-16
    let difference = 0
    let norm = 0
    for (let i = 0; i < length; i += 1) {
      const expected = (plain[i] as number) / totalWeight
      const error = Math.abs((mean[i] as number) - expected)
      assert.ok(error <= bound, `element ${i}: ${error} > ${bound}`)
      difference += error ** 2
      norm += expected ** 2
    }
    assert.ok(Math.sqrt(difference / norm) <= 1e-6)
  })
}
