import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { Manifest, weightsLayout } from '@tributary/tensors/manifest'
import { encodeSafetensors } from '@tributary/tensors/safetensors/file'
import { bytesOf } from '@tributary/tensors/view'
import {
  decodeStatistics,
  encodeStatistics,
  standardisation,
  statisticsManifest,
  zeroStatistics,
} from './feature-statistics.ts'

const lists = (content: Record<string, readonly number[]>) =>
  encodeSafetensors(
    Object.entries(content).map(([name, values]) => ({
      name,
      dtype: 'F64' as const,
      shape: [values.length],
      bytes: bytesOf(Float64Array.from(values)),
    })),
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

  test('standardise in the units of the feature', () => {
    // Values 0 … 4 in units of 4: mean 2, variance 4.
    const statistics = { scale: Float64Array.of(4), mean: Float64Array.of(0.5), variance: Float64Array.of(0.25) }
    assert.deepEqual(standardisation(statistics), { shift: [2], divisor: [2] })
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
    ['a list less', { scale: [1], mean: [0] }],
    ['a list more', { scale: [1], mean: [0], variance: [1], more: [1] }],
    ['lists of different lengths', { scale: [1], mean: [0, 0], variance: [1] }],
    ['a mean that is no number', { scale: [1], mean: [Number.NaN], variance: [1] }],
    ['a variance below 0', { scale: [1], mean: [0], variance: [-1] }],
    ['a scale without end', { scale: [Number.POSITIVE_INFINITY], mean: [0], variance: [1] }],
    ['no entry', { scale: [], mean: [], variance: [] }],
  ] as const) {
    test(`are not a file with ${what}`, () => {
      assert.throws(() => decodeStatistics(lists(content)), { name: 'StatisticsError' })
    })
  }

  test('are not a file of another kind', () => {
    assert.throws(() => decodeStatistics(new Uint8Array(40)), { name: 'SafetensorsError' })
  })
})
