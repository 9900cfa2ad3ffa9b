import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { suite, test } from 'node:test'
import { mergeModel } from '@tributary/learning/exact-sum/merge'
import { ShardSum } from '@tributary/learning/exact-sum/shard-sum'
import { SeededRandom } from '@tributary/learning/seeded/random'
import { deriveSeed } from '@tributary/learning/seeded/seed'
import {
  decodeStatistics,
  encodeStatistics,
  encodeStatisticsUpdate,
  standardisation,
  statisticsBound,
  statisticsManifest,
  statisticsPasses,
  statisticsRestBound,
  statisticsWeightCap,
  zeroStatistics,
} from '@tributary/learning/statistics/feature-statistics'
import { checkUpdate } from '@tributary/learning/update/check-update'
import type { RowSource } from '../rows/row-source.ts'
import { localStatistics } from './local-statistics.ts'

/** Of features that no common fixed point suits. */
const columns: readonly ((random: SeededRandom) => number)[] = [
  random => random.unit() * 1e-6,
  random => random.unit() * 2 - 1,
  random => random.unit() * 3e6,
  // Far from 0 and close together.
  random => 2000 + 3 * (random.unit() - 0.5),
  // One in a hundred is a thousand times as large.
  random => (random.unit() < 0.01 ? 1000 : 1) * random.unit(),
  () => 273.15,
  () => 0,
]
const features = columns.length

/** A device's rows, of which none is on a disk. */
const deviceOf = (number: number, examples: number): RowSource & { readonly values: Float32Array } => {
  const random = new SeededRandom(deriveSeed('statistics', number))
  // Devices differ.
  const shift = (number - 3) / 2
  const values = Float32Array.from(
    { length: examples * features },
    (_, at) => (columns[at % features] as (random: SeededRandom) => number)(random) * (at % features === 1 ? shift : 1),
  )
  return {
    values,
    examples,
    featuresPerRow: features,
    labelsPerRow: 1,
    integerLabels: true,
    rowBytes: 4 * (features + 1),
    readRows: async (order, from, to) => ({
      features: Float32Array.from(
        [...order.subarray(from, to)].flatMap(row => [...values.subarray(row * features, (row + 1) * features)]),
      ),
      labels: new Int32Array(to - from),
    }),
    [Symbol.asyncDispose]: async () => {},
  }
}

const devices = [1, 2, 3, 5, 40, 111, 257, 1003].map((examples, number) => deviceOf(number, examples))
const manifest = statisticsManifest(features)
const rule = {
  weighting: 'examples',
  weightCap: statisticsWeightCap,
  maxUpdates: devices.length,
  bound: statisticsBound,
  bufferBound: statisticsRestBound,
  clippingNorm: null,
} as const

/** All rounds of a task whose devices are spread over shards: the file of the last version. */
const federate = async (
  shards: readonly (readonly RowSource[])[],
  start = encodeStatistics(zeroStatistics(features)),
): Promise<Uint8Array> => {
  let version = start
  for (const pass of statisticsPasses) {
    const base = decodeStatistics(version)
    const sums = []
    for (const shard of shards) {
      const sum = new ShardSum(manifest, rule)
      for (const device of shard) {
        const signal = new AbortController().signal
        const local = await localStatistics(device, { entries: features, run: 1 }, pass, base, { signal })
        const body = encodeStatisticsUpdate(base, local)
        sum.add(body, checkUpdate(body, manifest, rule).parts, device.examples)
      }
      sums.push({ ...sum.totals, file: Buffer.concat([...sum.chunks()]) })
    }
    version = mergeModel(manifest, rule, version, sums)
  }
  return version
}

/** Mean and variance of all rows in one place, in two passes over float64. */
const pooled = (feature: number): { mean: number; variance: number } => {
  const values = devices.flatMap(device => [...device.values].filter((_, at) => at % features === feature))
  const meanOf = (list: readonly number[]) => list.reduce((sum, value) => sum + value, 0) / list.length
  const mean = meanOf(values)
  return { mean, variance: meanOf(values.map(value => (value - mean) ** 2)) }
}

suite('statistics of a federation', () => {
  test('are those of all rows in one place, whatever the scale of a feature', async () => {
    const { scale, mean, variance } = decodeStatistics(await federate([devices]))
    const close = (found: number, expected: number, unit: number, what: string) =>
      assert.ok(Math.abs(found - expected) <= 1e-6 * unit, `${what}: ${found}, and ${expected} of all rows`)
    for (let feature = 0; feature < features; feature += 1) {
      const expected = pooled(feature)
      const unit = scale[feature] as number
      const deviation = Math.sqrt(expected.variance)
      close((mean[feature] as number) * unit, expected.mean, deviation || Math.abs(expected.mean), `mean ${feature}`)
      close((variance[feature] as number) * unit ** 2, expected.variance, expected.variance, `variance ${feature}`)
    }
  })

  test('are the same bytes for any split of the devices over regions and shards, in any order', async () => {
    const shaOf = async (shards: readonly (readonly RowSource[])[]) =>
      createHash('sha256')
        .update(await federate(shards))
        .digest('hex')
    const expected = await shaOf([devices])
    assert.equal(await shaOf([devices.toReversed()]), expected)
    assert.equal(await shaOf(devices.map(device => [device])), expected)
    assert.equal(await shaOf([devices.slice(5), devices.slice(0, 2), devices.slice(2, 5)]), expected)
  })

  test('do not depend on the version that the task begins with', async () => {
    const expected = decodeStatistics(await federate([devices]))
    const others = await federate([devices.map((_, number) => deviceOf(number + 20, 50))])
    const found = decodeStatistics(await federate([devices], others))
    assert.deepEqual(found.scale, expected.scale)
    for (const name of ['mean', 'variance'] as const) {
      const difference = found[name].map((value, entry) => Math.abs(value - (expected[name][entry] as number)))
      assert.ok(Math.max(...difference) < 2 ** -38, `${name}: ${difference}`)
    }
  })

  test('make every feature of mean 0 and variance 1, and of what never changes 0', async () => {
    const { shift, divisor } = standardisation(
      decodeStatistics(await federate([devices.slice(0, 4), devices.slice(4)])),
    )
    for (let feature = 0; feature < features; feature += 1) {
      const { mean, variance } = pooled(feature)
      const centred = (mean - (shift[feature] as number)) / (divisor[feature] as number)
      const spread = variance / (divisor[feature] as number) ** 2
      assert.ok(Math.abs(centred) < 1e-6, `mean ${centred} of feature ${feature}`)
      assert.ok(Math.abs(spread - (feature < 5 ? 1 : 0)) < 1e-6, `variance ${spread} of feature ${feature}`)
    }
  })
})
