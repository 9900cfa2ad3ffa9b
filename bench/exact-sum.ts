/**
 * How fast exact sums are, beside a copy of the same bytes in the same run: `node bench/exact-sum.ts`.
 * Prints the best of many runs; ratios to the copy travel between machines better than seconds do.
 */
import { addQuantised } from '@tributary/learning/exact-sum/add-quantised'
import { sumExponent } from '@tributary/learning/exact-sum/exponent'
import { Int64Sums } from '@tributary/learning/exact-sum/int64-sums'
import { addStep } from '@tributary/learning/exact-sum/mean'
import { PartSums, SLICE_ELEMENTS } from '@tributary/learning/kernels/part-sums'
import { SeededRandom } from '@tributary/learning/seeded/random'
import { deriveSeed } from '@tributary/learning/seeded/seed'
import { UpdateCheck } from '@tributary/learning/update/check-update'
import type { ManifestTensor } from '@tributary/tensors/manifest'
import { bytesOf } from '@tributary/tensors/view'
import { fastestMillis } from './statistics.ts'

const RUNS = 50

const rule = {
  weighting: 'examples',
  weightCap: 2 ** 16,
  maxUpdates: 1000,
  bound: 2 ** 10,
  bufferBound: 2 ** 10,
  clippingNorm: null,
} as const
const exponent = sumExponent(rule)

const bestMilliseconds = (run: () => void): number => fastestMillis(run, runs => runs < RUNS)

for (const length of [200_000, 1_660_000]) {
  const random = new SeededRandom(deriveSeed('bench', length))
  const delta = Float32Array.from({ length }, () => random.normal() * 1e-3)
  const tensor: ManifestTensor = { name: 'delta', dtype: 'F32', shape: [length], policy: 'average' }
  const sum = new BigInt64Array(length)
  const shard = new BigInt64Array(length).fill(1n)
  const sums = new Int64Sums()
  sums.begin(length)
  const part = new PartSums()
  part.begin(length)
  part.set(0, bytesOf(shard))
  const meanAndStep = (): void => {
    // Anew each time, as with a merge, since the means lie in the place of the sums.
    part.set(0, bytesOf(shard))
    for (let first = 0; first < length; first += SLICE_ELEMENTS) {
      const count = Math.min(SLICE_ELEMENTS, length - first)
      part.means(first, count, 6000n, exponent)
      part.addStepTo(bytesOf(delta.subarray(first, first + count)), first)
    }
  }
  const copy = new Float32Array(length)

  const copying = bestMilliseconds(() => copy.set(delta))
  console.log(`\n${length} float32 values (${(length * 4) / 1e6} MB); copy ${copying.toFixed(3)} ms`)
  for (const [what, run] of [
    ['check an update', () => new UpdateCheck(rule).addSlice(tensor, bytesOf(delta))],
    ['add an update', () => addQuantised(sum, delta, 600 * 2 ** exponent)],
    ['add a shard sum', () => part.add(0, bytesOf(shard))],
    ['mean and step', meanAndStep],
    ['add, twin', () => sums.add(0, shard)],
    ['step, twin', () => addStep(bytesOf(delta), sums.means(0, length, 6000n, exponent), 'F32')],
  ] as const) {
    const milliseconds = bestMilliseconds(run)
    const rate = (length * 4) / milliseconds / 1e6
    const ratio = milliseconds / copying
    console.log(
      `${what.padEnd(16)} ${milliseconds.toFixed(3)} ms  ${rate.toFixed(2)} GB/s of update  ${ratio.toFixed(1)} x copy`,
    )
  }
}
