import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeAwsChunked } from './aws-chunked.ts'
import { StorageError } from './storage-error.ts'

async function* cut(bytes: Buffer, step: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step)
}

async function decode(text: Buffer | string, step = 7): Promise<{ payload: Buffer; trailers: Map<string, string> }> {
  const trailers = new Map<string, string>()
  const pieces: Buffer[] = []
  for await (const piece of decodeAwsChunked(cut(Buffer.from(text), step), trailers)) pieces.push(Buffer.from(piece))
  return { payload: Buffer.concat(pieces), trailers }
}

test('gives the payload and the trailer, however the bytes arrive', async () => {
  for (const step of [1, 2, 3, 100]) {
    const { payload, trailers } = await decode(
      '5\r\nhello\r\n6;x=1\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n',
      step,
    )
    assert.equal(payload.toString(), 'hello world')
    assert.deepEqual([...trailers], [['x-amz-checksum-crc32', 'DUoRhQ==']])
  }
})

test('refuses bodies that end early or lie about their sizes', async () => {
  for (const body of [
    '',
    '5',
    '5\r\nhel',
    '5\r\nhello',
    '5\r\nhello\r\n',
    '3\r\nhello\r\n0\r\n\r\n',
    'zz\r\n',
    '-1\r\n',
    '0\r\nno trailer\r\n\r\n',
    'a'.repeat(5000),
  ]) {
    await assert.rejects(decode(body), StorageError, body.slice(0, 20))
  }
})

test('never fails otherwise than by name, whatever comes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async bytes => {
      await decode(Buffer.from(bytes)).catch(error => assert.ok(error instanceof StorageError))
    }),
  )
})
