import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { TributaryError } from '@tributary/contracts/errors'
import { startTcpProxy } from '../testing/tcp-proxy.ts'
import { startTestStore, type TestStore } from '../testing/test-store.ts'
import type { ObjectStore } from './object-store.ts'
import { S3ObjectStore } from './s3-object-store.ts'
import { partBytes } from './s3-object-writer.ts'

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

suite('the object store', { timeout: 60_000 }, () => {
  let resource: TestStore
  let store: ObjectStore
  before(async () => {
    resource = await startTestStore()
    store = resource.store
  })
  after(() => resource[Symbol.asyncDispose]())

  test('gives back what was put: whole, by range and as a stream', async () => {
    const bytes = randomBytes(100_000)
    assert.deepEqual(await store.put('a/whole.bin', bytes), { sha256: sha256(bytes), bytes: 100_000 })
    assert.deepEqual(await store.head('a/whole.bin'), { bytes: 100_000, sha256: sha256(bytes) })
    assert.deepEqual(Buffer.from(await store.readAll('a/whole.bin', 100_000)), bytes)
    const range = await store.readRange('a/whole.bin', { start: 10, end: 50_010 })
    assert.deepEqual(Buffer.from(range), bytes.subarray(10, 50_010))
    const memory = new Uint8Array(50)
    assert.equal(await store.readRange('a/whole.bin', { start: 7, end: 57 }, undefined, memory), memory)
    assert.deepEqual(Buffer.from(memory), bytes.subarray(7, 57))
    await assert.rejects(store.readRange('a/whole.bin', { start: 7, end: 56 }, undefined, memory), RangeError)
    const chunks: Uint8Array[] = []
    for await (const chunk of await store.read('a/whole.bin')) chunks.push(chunk)
    assert.deepEqual(Buffer.concat(chunks), bytes)
    assert.equal((await store.readRange('a/whole.bin', { start: 5, end: 5 })).length, 0)
  })

  test('does not wait for a connection that has fallen silent', { timeout: 4000 }, async () => {
    const endpoint = process.env.AWS_ENDPOINT_URL_S3
    await using proxy = await startTcpProxy(Number(new URL(endpoint ?? '').port))
    process.env.AWS_ENDPOINT_URL_S3 = `http://127.0.0.1:${proxy.port}`
    const behind = new S3ObjectStore({ bucket: 'test', pathStyle: true, stallMillis: 300 })
    // The SDK reads the environment with its first request.
    await behind.put('a/silent.bin', Uint8Array.of(1, 2, 3)).finally(() => {
      process.env.AWS_ENDPOINT_URL_S3 = endpoint
    })
    assert.ok(proxy.connections() > 0)
    proxy.silence()
    assert.deepEqual([...(await behind.readAll('a/silent.bin', 3))], [1, 2, 3])
  })

  test('goes on where a body was cut', async () => {
    const ranges: (string | undefined)[] = []
    const server = createServer((request, response) => {
      ranges.push(request.headers.range)
      const bytes = ranges.length === 1 ? Buffer.from([0, 1, 2, 3]) : Buffer.from([4, 5, 6, 7, 8, 9])
      response.writeHead(206, { 'content-length': ranges.length === 1 ? 10 : 6 })
      response.write(bytes, () => (ranges.length === 1 ? response.destroy() : response.end()))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const endpoint = process.env.AWS_ENDPOINT_URL_S3
    process.env.AWS_ENDPOINT_URL_S3 = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    try {
      const cut = new S3ObjectStore({ bucket: 'test', pathStyle: true })
      const bytes = await cut.readRange('a/cut.bin', { start: 100, end: 110 })
      assert.deepEqual([...bytes], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
      assert.deepEqual(ranges, ['bytes=100-109', 'bytes=104-109'])
    } finally {
      process.env.AWS_ENDPOINT_URL_S3 = endpoint
      server.closeAllConnections()
      server.close()
    }
  })

  test('knows what is not there and refuses what is too large', async () => {
    const code = (wanted: string) => (error: unknown) => error instanceof TributaryError && error.code === wanted
    assert.equal(await store.head('a/none.bin'), null)
    await assert.rejects(async () => await store.read('a/none.bin'), code('NOT_FOUND'))
    await assert.rejects(store.readAll('a/whole.bin', 99_999), code('BODY_TOO_LARGE'))
    await assert.rejects(store.readRange('a/whole.bin', { start: 99_999, end: 100_001 }), code('UNAVAILABLE'))
  })

  test('writes objects of any size from pieces of any size, with their hash', async () => {
    for (const size of [0, 1, partBytes, partBytes + 1, 2 * partBytes + 12_345]) {
      const bytes = randomBytes(size)
      await using writer = store.openWriter('a/written.bin')
      for (let at = 0; at < size; at += 3_000_001) await writer.write(bytes.subarray(at, at + 3_000_001))
      assert.deepEqual(await writer.finish(), { sha256: sha256(bytes), bytes: size })
      assert.equal(sha256(await store.readAll('a/written.bin', size)), sha256(bytes))
    }
  })

  test('shows nothing of a writer that was not finished', async () => {
    {
      await using writer = store.openWriter('a/unfinished.bin')
      await writer.write(randomBytes(partBytes * 2))
    }
    assert.equal(await store.head('a/unfinished.bin'), null)
  })

  test('takes at a presigned address the declared bytes and no others', async () => {
    const bytes = Buffer.from('the declared bytes')
    const upload = await store.presignPut('a/upload.bin', { sha256: sha256(bytes), bytes: bytes.length }, 60)
    const put = (body: Uint8Array<ArrayBuffer>, headers: Record<string, string>) =>
      fetch(upload.url, { method: 'PUT', body, headers })
    const { 'content-length': _, ...headers } = upload.headers
    assert.equal(upload.headers['content-length'], '18')
    const otherBytes = Buffer.from('the declared bytez')
    assert.ok((await put(otherBytes, headers)).status >= 400)
    const checksum = createHash('sha256').update(otherBytes).digest('base64')
    assert.equal((await put(otherBytes, { ...headers, 'x-amz-checksum-sha256': checksum })).status, 403)
    assert.equal((await put(Buffer.from('longer than what was declared'), headers)).status, 403)
    assert.equal(await store.head('a/upload.bin'), null)
    assert.equal((await put(bytes, headers)).status, 200)
    assert.deepEqual(await store.head('a/upload.bin'), { bytes: 18, sha256: sha256(bytes) })
    const { url } = await store.presignGet('a/upload.bin', { filename: 'model-v1.safetensors', seconds: 60 })
    const got = await fetch(url)
    assert.equal(await got.text(), 'the declared bytes')
    assert.equal(got.headers.get('content-disposition'), 'attachment; filename="model-v1.safetensors"')
  })
})
