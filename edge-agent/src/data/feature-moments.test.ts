import assert from 'node:assert/strict'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { dataFolderWith } from '../testing/data-folder.ts'
import { type FeatureMoments, featureMoments } from './feature-moments.ts'
import { openRowFile } from './rows/row-file.ts'
import { RowFileWriter } from './rows/row-file-writer.ts'
import { unchanged } from './rows/row-layout.ts'

const format = { boundLog2: 10, examplesLog2: 24 }

const momentsOf = async (rows: readonly (readonly number[])[], given = format): Promise<FeatureMoments> => {
  await using folder = await dataFolderWith({})
  const file = join(folder.path, 'x.rows')
  const features = rows[0]?.length ?? 1
  const layout = { stored: 'f32', features, labels: 1, labelDtype: 'f32', affine: unchanged } as const
  {
    await using writer = await RowFileWriter.create(file, { layout })
    for (const row of rows) await writer.add(Float32Array.from(row), 0, Float32Array.of(0), 0)
    await writer.finish()
  }
  await using source = await openRowFile(file)
  return await featureMoments(source, given)
}

const value = fc.float({ noNaN: true, min: -1000, max: 1000 })
const table = fc.array(fc.tuple(value, value), { minLength: 1, maxLength: 30 })

suite('moments of features', () => {
  test('are sums and sums of squares in fixed point', async () => {
    const { examples, sumExponent, squareExponent, sums, squares } = await momentsOf([
      [1.5, -3],
      [2, 0.25],
    ])
    assert.deepEqual([examples, sumExponent, squareExponent], [2n, 28, 18])
    // 1.5 + 2 and −3 + 0.25 by 2^28; 2.25 + 4 and 9 + 0.0625 by 2^18.
    assert.deepEqual(sums, [939_524_096n, -738_197_504n])
    assert.deepEqual(squares, [1_638_400n, 2_375_680n])
  })

  test('ties are rounded to even', async () => {
    const half = 2 ** -29
    assert.deepEqual((await momentsOf([[half], [3 * half], [5 * half]])).sums, [0n + 2n + 2n])
  })

  test('no order of rows, and no split over devices, changes them', async () => {
    const property = fc.asyncProperty(table, fc.nat(), async (rows, at) => {
      const whole = await momentsOf(rows)
      assert.deepEqual(await momentsOf(rows.toReversed()), whole)
      const cut = at % rows.length
      if (cut === 0) return
      const [first, second] = [await momentsOf(rows.slice(0, cut)), await momentsOf(rows.slice(cut))]
      assert.deepEqual(
        first.sums.map((sum, index) => sum + (second.sums[index] as bigint)),
        whole.sums,
      )
      assert.deepEqual(
        first.squares.map((sum, index) => sum + (second.squares[index] as bigint)),
        whole.squares,
      )
    })
    await fc.assert(property, { numRuns: 20 })
  })

  test('give mean and variance, as close as the fixed point lets them', async () => {
    const rows = Array.from({ length: 1000 }, (_, row) => [row / 8])
    const { examples, sums, squares, sumExponent, squareExponent } = await momentsOf(rows)
    const [n, sum, square] = [Number(examples), Number(sums[0]), Number(squares[0])]
    const mean = sum / n / 2 ** sumExponent
    const variance = square / n / 2 ** squareExponent - mean ** 2
    // Of 0 … n − 1 the mean is (n − 1) / 2 and the variance (n² − 1) / 12.
    assert.equal(mean, 999 / 2 / 8)
    assert.ok(Math.abs(variance - (1000 ** 2 - 1) / 12 / 64) < 2 ** -18, `${variance}`)
  })

  test('what the format has no room for is refused', async () => {
    await assert.rejects(momentsOf([[0], [1025]]), { code: 'FEATURES_UNUSABLE', message: /Example 2, feature 1/ })
    await assert.rejects(momentsOf([[0], [Number.NaN]]), { code: 'FEATURES_UNUSABLE' })
    await assert.rejects(momentsOf([[0], [1], [2]], { boundLog2: 4, examplesLog2: 1 }), { code: 'TOO_LARGE' })
    await assert.rejects(momentsOf([[0]], { boundLog2: 30, examplesLog2: 24 }), RangeError)
  })
})
