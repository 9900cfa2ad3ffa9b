import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { Manifest, weightsLayout } from '@tributary/tensors/manifest'
import { decodeSafetensors, encodeSafetensors } from '@tributary/tensors/safetensors/file'
import { bytesOf, typedView } from '@tributary/tensors/view'
import {
  decodeStatistics,
  encodeStatistics,
  encodeStatisticsUpdate,
  standardisation,
  statisticsManifest,
  zeroStatistics,
} from './feature-statistics.ts'

const lists = (content: Record<string, readonly number[] | undefined>) =>
  encodeSafetensors(
    Object.entries(content).flatMap(([name, values]) =>
      values === undefined
        ? []
        : [
            {
              name,
              dtype: 'F64' as const,
              shape: [values.length],
              bytes: bytesOf(Float64Array.from(values)),
            },
          ],
    ),
  )

suite('feature statistics', () => {
  test('are read as they were written', () => {
    const statistics = {
      scale: Float64Array.of(4, 1024),
      mean: Float64Array.of(0.5, -0.25),
      variance: Float64Array.of(0.25, 0),
    }
    assert.deepEqual(decodeStatistics(encodeStatistics(statistics)), statistics)
  })

  test('begin with a weights file of their manifest', () => {
    const manifest = Manifest.parse(statisticsManifest(3))
    const file = encodeStatistics(zeroStatistics(3))
    const { header, fileBytes } = weightsLayout(manifest)
    assert.equal(file.byteLength, fileBytes)
    assert.deepEqual(file.subarray(0, header.byteLength), header)
    assert.ok(file.subarray(header.byteLength).every(byte => byte === 0))
  })

  test('travel as a multiple of 2^-12, which is summed without rounding, and what is left', () => {
    const third = { scale: Float64Array.of(2), mean: Float64Array.of(1 / 3), variance: Float64Array.of(0.25) }
    const base = { ...zeroStatistics(1), mean: Float64Array.of(-1) }
    const parts = decodeSafetensors(encodeStatisticsUpdate(base, third))
    const values = [...parts].map(([name, { bytes }]) => [name, typedView(bytes, 'F64')[0]])
    // 4/3 · 4096 = 5461.33…
    assert.deepEqual(values, [
      ['value/scale', 2],
      ['delta/mean', 5461 / 4096],
      ['delta/mean_rest', 1 / 3 + 1 - 5461 / 4096],
      ['delta/variance', 0.25],
      ['delta/variance_rest', 0],
    ])
  })

  test('standardise in the units of the feature', () => {
    // Values 0 … 4 in units of 4: mean 2, variance 4.
    const statistics = { scale: Float64Array.of(4), mean: Float64Array.of(0.5), variance: Float64Array.of(0.25) }
    assert.deepEqual(standardisation(statistics), { shift: [2], divisor: [2] })
  })

  test('give finite numbers at their largest and smallest', () => {
    const most = { scale: [2 ** 128], mean: [8], mean_rest: [0], variance: [64], variance_rest: [0] }
    const least = { scale: [2 ** -149], mean: [-8], mean_rest: [0], variance: [2 ** -43], variance_rest: [0] }
    for (const content of [most, least]) {
      const { shift, divisor } = standardisation(decodeStatistics(lists(content)))
      assert.ok([...shift, ...divisor].every(Number.isFinite) && divisor.every(value => value > 0))
    }
  })

  test('make a feature that is the same everywhere 0, whatever it is', () => {
    const statistics = {
      scale: Float64Array.of(0, 8),
      mean: Float64Array.of(0, 1),
      variance: Float64Array.of(0, 1e-15),
    }
    assert.deepEqual(standardisation(statistics), { shift: [0, 8], divisor: [1, 8] })
  })

  for (const [what, content] of [
    ['a list less', { variance_rest: undefined }],
    ['a list more', { more: [1] }],
    ['lists of different lengths', { mean: [0, 0] }],
    ['rests of another length', { mean_rest: [0, 0] }],
    ['a mean that is no number', { mean: [Number.NaN] }],
    ['a variance below 0', { variance: [-1] }],
    ['a scale without end', { scale: [Number.POSITIVE_INFINITY] }],
    ['a scale above every float32', { scale: [2 ** 129] }],
    ['a mean far beyond the scale', { mean: [1e300] }],
    ['a variance far beyond the scale', { variance: [1e300] }],
    ['no entry', { scale: [], mean: [], mean_rest: [], variance: [], variance_rest: [] }],
  ] as const) {
    test(`are not a file with ${what}`, () => {
      const whole = { scale: [1], mean: [0], mean_rest: [0], variance: [1], variance_rest: [0] }
      assert.doesNotThrow(() => decodeStatistics(lists(whole)))
      assert.throws(() => decodeStatistics(lists({ ...whole, ...content })), { name: 'StatisticsError' })
    })
  }

  test('are not a file of another kind', () => {
    assert.throws(() => decodeStatistics(new Uint8Array(40)), { name: 'SafetensorsError' })
  })
})
