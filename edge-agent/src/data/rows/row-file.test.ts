import assert from 'node:assert/strict'
import { mkdtempDisposable, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { readAll } from './read-all.ts'
import { openRowFile, readRowHeader } from './row-file.ts'
import { RowFileWriter } from './row-file-writer.ts'
import { type RowLayout, unchanged } from './row-layout.ts'

const temporaryFolder = () => mkdtempDisposable(join(tmpdir(), 'tributary-rows-'))

const numbers: RowLayout = { stored: 'f32', features: 2, labels: 1, labelDtype: 'f32', affine: unchanged }

const write = async (
  file: string,
  layout: RowLayout,
  features: Float32Array | Uint8Array,
  labels: Float32Array | Int32Array,
  classes = 0,
) => {
  await using writer = await RowFileWriter.create(file, { layout, classes })
  for (let row = 0; row < labels.length / layout.labels; row++)
    await writer.add(features, row * layout.features, labels, row * layout.labels)
  await writer.finish()
}

suite('files of converted examples', () => {
  test('give any rows in any order, from disk and from memory alike', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'x.rows')
    await write(file, numbers, Float32Array.of(0, 1, 10, 11, 20, 21, 30, 31), Float32Array.of(7, 8, 9.5, 6))
    for (const memoryBytes of [0, 2 ** 20]) {
      await using rows = await openRowFile(file, { memoryBytes })
      assert.deepEqual([rows.examples, rows.rowBytes, rows.integerLabels], [4, 12, false])
      assert.deepEqual(await rows.readRows(Int32Array.of(9, 3, 0, 1, 1), 1, 5), {
        features: Float32Array.of(30, 31, 0, 1, 10, 11, 10, 11),
        labels: Float32Array.of(6, 7, 8, 8),
      })
      await assert.rejects(rows.readRows(Int32Array.of(4), 0, 1), RangeError)
      await assert.rejects(rows.readRows(Int32Array.of(-1), 0, 1), RangeError)
    }
  })

  test('bytes stand for numbers, channel by channel', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'x.rows')
    const affine = { scale: 10, shift: [1, 2], divisor: [2, 4], run: 2 }
    const layout: RowLayout = { stored: 'u8', features: 5, labels: 1, labelDtype: 'i32', affine }
    await write(file, layout, Uint8Array.of(10, 30, 20, 100, 50, 0, 0, 0, 0, 255), Int32Array.of(1, -5))
    await using rows = await openRowFile(file)
    // (b / 10 − 1) / 2 for two bytes, (b / 10 − 2) / 4 for the next two, and again.
    assert.deepEqual(await rows.readRows(Int32Array.of(0, 1), 0, 2), {
      features: Float32Array.of(0, 1, 0, 2, 2, -0.5, -0.5, -0.5, -0.5, 12.25),
      labels: Int32Array.of(1, -5),
    })
  })

  test('what stored values stand for may be said anew', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'x.rows')
    await write(file, numbers, Float32Array.of(3, 50, 0, 175), Float32Array.of(0, 1))
    const affine = { scale: 1, shift: [1, 100], divisor: [2, 50], run: 1 }
    await using rows = await openRowFile(file, { affine })
    assert.deepEqual((await rows.readRows(Int32Array.of(0, 1), 0, 2)).features, Float32Array.of(1, -1, -0.5, 1.5))
    assert.deepEqual((await readAll(file, affine)).features, Float32Array.of(1, -1, -0.5, 1.5))
    const bytes = join(folder.path, 'y.rows')
    const layout: RowLayout = { stored: 'u8', features: 2, labels: 1, labelDtype: 'i32', affine: unchanged }
    await write(bytes, layout, Uint8Array.of(30, 20), Int32Array.of(0))
    const byTen = { scale: 10, shift: [1], divisor: [2], run: 1 }
    assert.deepEqual((await readAll(bytes, byTen)).features, Float32Array.of(1, 0.5))
  })

  test('labels that all are integers come as integers, and classes are counted', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'x.rows')
    await write(file, numbers, new Float32Array(6), Float32Array.of(2, 0, 2), 3)
    await using rows = await openRowFile(file)
    assert.deepEqual((await rows.readRows(Int32Array.of(0, 1, 2), 0, 3)).labels, Int32Array.of(2, 0, 2))
    assert.deepEqual((await readRowHeader(file)).classCounts, [1, 0, 2])
  })

  test('what was written is what is read, whatever the order', async () => {
    await using folder = await temporaryFolder()
    let files = 0
    const property = fc.asyncProperty(
      fc.array(fc.tuple(fc.float({ noNaN: true }), fc.integer({ min: -9, max: 9 })), { minLength: 1, maxLength: 40 }),
      fc.infiniteStream(fc.nat()),
      async (table, choices) => {
        const file = join(folder.path, `${files++}.rows`)
        const layout = { ...numbers, features: 1 }
        const values = Float32Array.from(table, ([value]) => value)
        const labels = Float32Array.from(table, ([, label]) => label)
        await write(file, layout, values, labels)
        await using rows = await openRowFile(file)
        const order = Int32Array.from([...choices.take(50)], choice => choice % table.length)
        const read = await rows.readRows(order, 0, order.length)
        assert.deepEqual(
          read.features,
          Float32Array.from(order, row => values[row] as number),
        )
        assert.deepEqual(
          Float32Array.from(read.labels),
          Float32Array.from(order, row => labels[row] as number),
        )
      },
    )
    await fc.assert(property, { numRuns: 25 })
  })

  test('a damaged file is refused, not read', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'x.rows')
    await write(file, numbers, new Float32Array(4), new Float32Array(2))
    for (const size of [4096 + 23, 4000, 11, 0]) {
      await truncate(file, size)
      await assert.rejects(openRowFile(file), { code: 'ROWS_DAMAGED' }, `${size}`)
    }
    await writeFile(file, 'TRIBROW1\x10\0\0\0{"__proto__": 1} ')
    await assert.rejects(openRowFile(file), { code: 'ROWS_DAMAGED' })
    await assert.rejects(openRowFile(join(folder.path, 'none')), { code: 'FILE_UNREADABLE' })
  })
})
