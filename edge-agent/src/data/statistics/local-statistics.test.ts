import assert from 'node:assert/strict'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { type FeatureStatistics, zeroStatistics } from '@tributary/learning/statistics/feature-statistics'
import fc from 'fast-check'
import { dataFolderWith } from '../../testing/data-folder.ts'
import { openRowFile } from '../rows/row-file.ts'
import { RowFileWriter } from '../rows/row-file-writer.ts'
import { unchanged } from '../rows/row-layout.ts'
import { type EntryLayout, localStatistics } from './local-statistics.ts'

const signal = new AbortController().signal

const measure = async (
  rows: readonly (readonly number[])[],
  layout: EntryLayout,
  pass: 'scale' | 'mean' | 'variance',
  base: FeatureStatistics = zeroStatistics(layout.entries),
): Promise<FeatureStatistics> => {
  await using folder = await dataFolderWith({})
  const file = join(folder.path, 'x.rows')
  {
    const features = rows[0]?.length ?? 1
    const rowLayout = { stored: 'f32', features, labels: 1, labelDtype: 'f32', affine: unchanged } as const
    await using writer = await RowFileWriter.create(file, { layout: rowLayout })
    for (const row of rows) await writer.add(Float32Array.from(row), 0, Float32Array.of(0), 0)
    await writer.finish()
  }
  await using source = await openRowFile(file)
  return await localStatistics(source, layout, pass, base, { signal })
}

const perFeature = { entries: 2, run: 1 }
const base = (scale: number[], mean: number[]): FeatureStatistics => ({
  scale: Float64Array.from(scale),
  mean: Float64Array.from(mean),
  variance: new Float64Array(scale.length),
})

const value = fc.float({ noNaN: true, min: -1000, max: 1000 })
const table = fc.array(fc.tuple(value, value), { minLength: 1, maxLength: 30 })

suite('statistics of this device', () => {
  test('the scale is the least power of two that no magnitude passes, and 0 where all is 0', async () => {
    const rows = [
      [3, 0],
      [-5, 0],
      [4, 0],
    ]
    assert.deepEqual(await measure(rows, perFeature, 'scale'), base([8, 0], [0, 0]))
    assert.deepEqual((await measure([[4, 2 ** -149]], perFeature, 'scale')).scale, Float64Array.of(4, 2 ** -149))
    assert.deepEqual((await measure([[4.5, 3e38]], perFeature, 'scale')).scale, Float64Array.of(8, 2 ** 128))
  })

  test('mean and variance are in units of the scale, and the variance is about the mean of all devices', async () => {
    const rows = [
      [1, 0],
      [3, 0],
    ]
    assert.deepEqual((await measure(rows, perFeature, 'mean', base([4, 0], [0, 0]))).mean, Float64Array.of(0.5, 0))
    // About 0.25: (0 + 0.25) / 2 of the squares 0² and 0.5².
    const { variance } = await measure(rows, perFeature, 'variance', base([4, 0], [0.25, 0]))
    assert.deepEqual(variance, Float64Array.of(0.125, 0))
  })

  test('features side by side share an entry, as those of a channel do', async () => {
    // Two channels of two pixels: 0 1 | 2 3.
    const chw = { entries: 2, run: 2 }
    assert.deepEqual((await measure([[0, 1, 2, 3]], chw, 'mean', base([1, 1], [0, 0]))).mean, Float64Array.of(0.5, 2.5))
    // Pixel by pixel: 0 and 2, 1 and 3.
    assert.deepEqual(
      (await measure([[0, 1, 2, 3]], perFeature, 'mean', base([1, 1], [0, 0]))).mean,
      Float64Array.of(1, 2),
    )
    const one = { entries: 1, run: 1 }
    assert.deepEqual((await measure([[0, 1, 2, 3]], one, 'mean', base([1], [0]))).mean, Float64Array.of(1.5))
  })

  test('no order of the rows changes a bit', async () => {
    const property = fc.asyncProperty(table, async rows => {
      const { scale } = await measure(rows, perFeature, 'scale')
      for (const pass of ['mean', 'variance'] as const) {
        const given = { ...base([0, 0], [0.1, -0.3]), scale }
        assert.deepEqual(
          await measure(rows.toReversed(), perFeature, pass, given),
          await measure(rows, perFeature, pass, given),
        )
      }
    })
    await fc.assert(property, { numRuns: 15 })
  })

  test('more values than a float64 adds exactly are added exactly', async () => {
    const rows = Array.from({ length: 3000 }, (_, row) => [row % 2 === 0 ? 1 : 1 + 2 ** -20, 1])
    const { mean } = await measure(rows, perFeature, 'mean', base([1, 1], [0, 0]))
    assert.deepEqual(mean, Float64Array.of(1 + 2 ** -21, 1))
  })

  test('what is not finite, or far above the scale, is refused', async () => {
    await assert.rejects(measure([[Number.NaN, 0]], perFeature, 'scale'), { code: 'FEATURES_UNUSABLE' })
    await assert.rejects(measure([[0, Number.POSITIVE_INFINITY]], perFeature, 'mean'), { code: 'FEATURES_UNUSABLE' })
    await assert.rejects(measure([[0, 33]], perFeature, 'mean', base([1, 8], [0, 0])), { code: 'BEYOND_SCALE' })
    // A mean that no device of these can have found.
    await assert.rejects(measure([[0, 1]], perFeature, 'variance', base([1, 8], [1e300, 0])), { code: 'BEYOND_SCALE' })
  })

  test('ends where it is told to', async () => {
    const stop = new AbortController()
    stop.abort(new Error('over'))
    await using folder = await dataFolderWith({})
    const file = join(folder.path, 'x.rows')
    {
      const layout = { stored: 'f32', features: 1, labels: 1, labelDtype: 'f32', affine: unchanged } as const
      await using writer = await RowFileWriter.create(file, { layout })
      await writer.add(Float32Array.of(1), 0, Float32Array.of(0), 0)
      await writer.finish()
    }
    await using source = await openRowFile(file)
    const measured = localStatistics(source, { entries: 1, run: 1 }, 'scale', zeroStatistics(1), stop)
    await assert.rejects(measured, /over/)
  })
})
