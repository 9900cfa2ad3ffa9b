import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { S3ObjectStore } from '../adapters/s3-object-store.ts'
import { checkInvariants } from '../testing/check-invariants.ts'
import { type StorageFault, startFaultyStorage, storageFaults } from '../testing/faulty-storage.ts'
import { closeLargeRound, enlarge, largeOptimizer, largeWeights } from '../testing/large-model.ts'
import { testServices } from '../testing/test-services.ts'

const services = testServices()
const expected = createHash('sha256').update(largeWeights(1)).digest('hex')

const closed = async () => {
  const federation = await services.begin({ north: { trainers: 2 } })
  await enlarge(federation)
  const fields = { attempts: 1, serverOptimizer: largeOptimizer }
  await federation.comeUp()
  const task = await federation.createTask(fields)
  return { federation, task: task.id, ref: await closeLargeRound(federation) }
}

/** A store of its own behind a proxy; the SDK reads the address with its first request. */
const behindFaults = async () => {
  const endpoint = process.env.AWS_ENDPOINT_URL_S3 ?? ''
  const proxy = await startFaultyStorage(Number(new URL(endpoint).port))
  const store = new S3ObjectStore({ bucket: 'test', pathStyle: true, stallMillis: 300 })
  process.env.AWS_ENDPOINT_URL_S3 = proxy.url
  await store.head('nothing').finally(() => {
    process.env.AWS_ENDPOINT_URL_S3 = endpoint
  })
  return { proxy, store }
}

test('a fault at any request of a merge is got over, whatever the fault, and no bit differs', async t => {
  const { proxy, store } = await behindFaults()
  await using _ = proxy
  const mergeWith = async (faultOf: (request: number) => StorageFault | undefined) => {
    const { federation, task, ref } = await closed()
    proxy.begin(faultOf)
    const outcome = await federation.merge(ref, { ...federation.context, store })
    const requests = proxy.begin(() => undefined)
    assert.equal(outcome, 'committed')
    const [version] = await services.db.sql`select weights_sha256 as sha256 from model_version where task = ${task}`
    assert.equal(version?.sha256, expected)
    await checkInvariants(services.db.sql)
    return requests
  }
  const requests = await mergeWith(() => undefined)
  t.diagnostic(`${requests} requests`)
  // Every third request meets a fault, the next fault each time; over the merges each place meets most of them.
  for (let shift = 0; shift < storageFaults.length; shift += 1) {
    for (const place of [shift % 3, (shift + 1) % 3]) {
      await mergeWith(request =>
        request % 3 === place ? storageFaults[(Math.floor(request / 3) + shift) % storageFaults.length] : undefined,
      )
    }
  }
})

test('a fault that lasts longer than the SDK tries is got over as well', async () => {
  for (const fault of ['503', 'cut'] as const) {
    const { proxy, store } = await behindFaults()
    await using _ = proxy
    const { federation, ref } = await closed()
    proxy.begin(request => (request >= 8 && request < 14 ? fault : undefined))
    assert.equal(await federation.merge(ref, { ...federation.context, store }), 'committed')
  }
})

test('a store that stays away ends the run within its budget; nothing is visible, and the next run goes on', async () => {
  const { proxy, store } = await behindFaults()
  await using _ = proxy
  const { federation, task, ref } = await closed()
  proxy.begin(request => (request >= 12 ? '412' : undefined))
  await assert.rejects(federation.merge(ref, { ...federation.context, store }))
  assert.equal(await services.store.head(`models/${federation.model}/tasks/${task}/1-1.safetensors`), null)
  assert.equal((await services.db.sql`select from model_version where task = ${task}`).length, 0)
  proxy.begin(() => undefined)
  assert.equal(await federation.merge(ref, { ...federation.context, store }), 'committed')
  const [version] = await services.db.sql`select weights_sha256 as sha256 from model_version where task = ${task}`
  assert.equal(version?.sha256, expected)
})
