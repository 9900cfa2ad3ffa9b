import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { suite, test } from 'node:test'
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { snappyUncompress } from 'hyparquet'
import { readDeclared } from '../../testing/data-folder.ts'
import { DataError } from '../data-error.ts'
import { decompressorsWith } from './parquet-decompressors.ts'

/** Written by PyArrow; see fixtures/make.py. */
const fixture = (name: string): Promise<Buffer> => readFile(new URL(`../fixtures/${name}.parquet`, import.meta.url))

const read = async (file: Buffer, options: Record<string, unknown> = {}) =>
  readDeclared(
    { format: 'parquet', file: 'x.parquet', label: 'y', features: ['height', 'member', 'pixels'], ...options },
    { 'x.parquet': file },
  )

suite('data sets in Parquet files', () => {
  test('numbers, booleans and lists are features, over all row groups, however they are packed', async () => {
    const rows = [0, 1, 2, 3, 4, 5, 6]
    for (const codec of ['none', 'snappy', 'gzip', 'brotli', 'zstd']) {
      const { examples, features, labels } = await read(await fixture(codec))
      assert.equal(examples, 7)
      assert.deepEqual(features, Float32Array.from(rows.flatMap(i => [0.5 * i, i % 2 === 0 ? 1 : 0, i, i + 0.25])))
      assert.deepEqual(labels, Int32Array.of(0, 1, 0, 0, 2, 1, 0))
    }
  })

  test('classes go by their names, and null is a missing value', async () => {
    const options = { label: 'kind', classes: ['dog', 'cat', 'owl'], features: ['age'] }
    const file = await fixture('snappy')
    await assert.rejects(read(file, options), { message: /x\.parquet, row 3, column "age": nothing is there/ })
    const skipped = await read(file, { ...options, missing: 'skip' })
    assert.deepEqual(skipped.features, Float32Array.of(1, 2, 4, 5, 6, 7))
    assert.deepEqual(skipped.labels, Int32Array.of(1, 0, 1, 2, 0, 1))
    const filled = await read(file, { ...options, missing: -1 })
    assert.deepEqual(filled.features, Float32Array.of(1, 2, -1, 4, 5, 6, 7))
  })

  test('a missing column, text for a number and an unknown codec are refused with their place', async () => {
    await assert.rejects(read(await fixture('snappy'), { label: 'nothing' }), {
      code: 'PARQUET_MALFORMED',
      message: /has no column "nothing", but "age", "height", "member", "pixels"/,
    })
    await assert.rejects(read(await fixture('snappy'), { features: ['kind'] }), {
      message: /7 rows or fields[\s\S]*row 1, column "kind": "cat" is no number/,
    })
    await assert.rejects(read(await fixture('lz4')), { code: 'PARQUET_MALFORMED', message: /codec: LZ4/ })
  })

  test('more rows in a group than are read at once are refused before they are unpacked', async () => {
    await assert.rejects(read(await fixture('bomb'), { features: ['x'] }), {
      code: 'TOO_LARGE',
      message: /row group 0 has 16777217 values.*smaller row groups/,
    })
  })

  const decompressors = decompressorsWith(snappyUncompress)

  test('a page is unpacked to no more than it says, and to no more than is allowed', () => {
    const zeros = Buffer.alloc(2 ** 20)
    const packed = { GZIP: gzipSync(zeros), BROTLI: brotliCompressSync(zeros), ZSTD: zstdCompressSync(zeros) }
    for (const [codec, bytes] of Object.entries(packed)) {
      const unpack = decompressors[codec as keyof typeof packed]
      assert.equal(unpack?.(bytes, 2 ** 20).length, 2 ** 20)
      assert.throws(() => unpack?.(bytes, 1000), codec)
      assert.throws(() => unpack?.(bytes, 2 ** 30), RangeError)
    }
    assert.throws(() => decompressors.SNAPPY?.(Buffer.of(0xff, 0xff, 0xff, 0xff, 0x07), 2 ** 31 - 1), RangeError)
  })

  test('a file that was cut off or damaged anywhere is read or refused with a typed error', async () => {
    const file = await fixture('snappy')
    await assert.rejects(read(Buffer.alloc(0)), { code: 'PARQUET_MALFORMED', message: /is empty/ })
    await assert.rejects(read(file.subarray(0, -1)), { code: 'PARQUET_MALFORMED', message: /copy it again/ })
    const property = fc.asyncProperty(fc.nat(file.length - 1), fc.nat(255), async (at, byte) => {
      const damaged = Buffer.from(file)
      damaged[at] = byte
      await read(damaged).catch(error => assert.ok(error instanceof DataError, String(error)))
    })
    // The same ones every time: some damage holds the parser up, which the process around it is for.
    await fc.assert(property, { numRuns: 40, seed: 1 })
  })
})
