import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { startObjectStorage } from '@tributary/local-stack/services/object-storage/object-storage'
import { testContext } from '@tributary/local-stack/services/testing'
import { sha256Of } from '../testing/sample-round.ts'
import { TcpProxy } from '../testing/tcp-proxy.ts'
import { objectStoreCases } from './object-store.cases.ts'
import { S3ObjectStore } from './s3-object-store.ts'

const open = async (stallMillis = 10_000) => {
  await using opening = new AsyncDisposableStack()
  const context = opening.use(await testContext())
  const storage = opening.use(await startObjectStorage(['tributary'], context))
  const proxy = opening.use(await TcpProxy.open(Number(new URL(storage.url).port)))
  Object.assign(process.env, {
    AWS_REGION: 'local',
    AWS_ACCESS_KEY_ID: context.credentials.awsAccessKeyId,
    AWS_SECRET_ACCESS_KEY: context.credentials.awsSecretAccessKey,
    AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${proxy.port}`,
  })
  const store = opening.use(new S3ObjectStore('tributary', { pathStyle: true, stallMillis }))
  const opened = opening.move()
  return { store, proxy, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

objectStoreCases('S3ObjectStore', open)

const MiB = 1024 * 1024
const content = Buffer.alloc(8 * MiB, 'tributary, a model')
const object = { objectKey: 'models/m/large.safetensors', sha256: sha256Of(content), bytes: content.byteLength }

const withObject = async (use: (opened: Awaited<ReturnType<typeof open>>) => Promise<void>) => {
  const folder = await mkdtemp(join(tmpdir(), 'tributary-s3-'))
  try {
    await using opened = await open(300)
    await writeFile(join(folder, 'file'), content)
    const file = { path: join(folder, 'file'), offset: 0, bytes: content.byteLength }
    await opened.store.write(file, object, AbortSignal.timeout(10_000))
    await use(opened)
  } finally {
    await rm(folder, { recursive: true })
  }
}

for (const kind of ['cut', 'silence'] as const) {
  test(`a download goes on where it ended after a ${kind} in the middle`, { timeout: 20_000 }, async () => {
    await withObject(async ({ store, proxy }) => {
      proxy.plan(kind, 3 * MiB)
      proxy.plan(kind, 2 * MiB)
      const parts: Uint8Array[] = []
      for await (const part of await store.read(object.objectKey, AbortSignal.timeout(15_000))) parts.push(part)
      assert.equal(proxy.faults, 2)
      assert.ok(Buffer.concat(parts).equals(content))
    })
  })
}

test('a connection that is silent from the start is given up and the request tried again', {
  timeout: 20_000,
}, async () => {
  await withObject(async ({ store, proxy }) => {
    proxy.plan('silence', 1)
    const parts: Uint8Array[] = []
    for await (const part of await store.read(object.objectKey, AbortSignal.timeout(15_000))) parts.push(part)
    assert.equal(proxy.faults, 1)
    assert.ok(Buffer.concat(parts).equals(content))
  })
})

test('a download that is cut again and again without a byte is given up', { timeout: 60_000 }, async () => {
  await withObject(async ({ store, proxy }) => {
    const body = await store.read(object.objectKey, AbortSignal.timeout(50_000))
    proxy.plan('cut', MiB)
    for (let i = 0; i < 1000; i += 1) proxy.plan('cut', 0)
    await assert.rejects(async () => {
      for await (const _ of body);
    })
    assert.ok(proxy.faults < 100, `${proxy.faults} connections`)
  })
})
