import assert from 'node:assert/strict'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { dataFolderWith } from '../testing/data-folder.ts'
import { fileSource } from './byte-source.ts'
import { DataError } from './data-error.ts'
import { readIdxHeader } from './idx.ts'

/** Two images of 2 × 3 pixels, byte by byte as the format says. */
const good = Buffer.from('00000803' + '00000002' + '00000002' + '00000003' + '000102030405' + '0a0b0c0d0e0f', 'hex')

const read = async (bytes: Uint8Array) => {
  await using folder = await dataFolderWith({ 'x.idx': bytes })
  await using handle = await open(join(folder.path, 'x.idx'), 'r')
  const source = await fileSource(handle, 'x.idx')
  const header = await readIdxHeader(source)
  return { header, data: await source.read(header.headerBytes, header.dataBytes) }
}

const refusal = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof DataError, String(error))
  assert.equal(error.code, code)
  assert.match(error.message, message)
  return true
}

suite('IDX files', () => {
  test('any bytes are read exactly or refused', async () => {
    const headers = fc.tuple(
      fc.constantFrom(0, 0, 0, 1),
      fc.constantFrom(8, 8, 13),
      fc.nat(9),
      fc.uint8Array({ maxLength: 40 }),
    )
    const nearly = headers.map(([zero, type, axes, rest]) =>
      Uint8Array.of(zero, 0, type, axes, ...rest.map(byte => byte % 4)),
    )
    await fc.assert(
      fc.asyncProperty(fc.oneof(nearly, fc.uint8Array({ maxLength: 64 })), async bytes => {
        try {
          const { header, data } = await read(bytes)
          assert.equal(header.headerBytes + data.length, bytes.length)
        } catch (error) {
          assert.ok(error instanceof DataError, String(error))
        }
      }),
      { numRuns: 300 },
    )
  })

  test('reads shape and elements', async () => {
    const { header, data } = await read(good)
    assert.deepEqual(header, { shape: [2, 2, 3], headerBytes: 16, dataBytes: 12 })
    assert.deepEqual([...data], [0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15])
  })

  test('a set without examples is whole', async () => {
    const { header } = await read(Buffer.from('0000080300000000' + '0000001c0000001c', 'hex'))
    assert.deepEqual(header.shape, [0, 28, 28])
  })

  test('names the file and what it begins with when it is something else', async () => {
    await assert.rejects(
      read(Buffer.from('1f8b0800000000', 'hex')),
      refusal('IDX_MALFORMED', /x\.idx: begins with 1f8b0800/),
    )
    await assert.rejects(read(Buffer.alloc(0)), refusal('IDX_MALFORMED', /ends after 0 bytes/))
    await assert.rejects(read(good.subarray(0, 10)), refusal('IDX_MALFORMED', /inside its header/))
  })

  test('refuses other element types and impossible numbers of axes', async () => {
    await assert.rejects(read(Buffer.from('00000d0100000000', 'hex')), refusal('IDX_MALFORMED', /element type 0x0d/))
    await assert.rejects(read(Buffer.from('00000800', 'hex')), refusal('IDX_MALFORMED', /0 axes/))
    await assert.rejects(read(Buffer.from('000008ff', 'hex')), refusal('IDX_MALFORMED', /255 axes/))
  })

  test('believes the size of the file, not the sizes in its header', async () => {
    await assert.rejects(read(good.subarray(0, 27)), refusal('IDX_SIZE_MISMATCH', /takes 28 bytes, the file has 27/))
    await assert.rejects(read(Buffer.concat([good, Buffer.of(0)])), refusal('IDX_SIZE_MISMATCH', /the file has 29/))
    const huge = Buffer.from(`00000803${'ffffffff'.repeat(3)}`, 'hex')
    await assert.rejects(read(huge), refusal('IDX_SIZE_MISMATCH', /the file has 16/))
  })
})
