import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import type { RoundDescriptor } from '@tributary/contracts/round'
import { CreateTask } from '@tributary/contracts/tasks'
import type { Manifest } from '@tributary/tensors/manifest'
import { decodeSafetensors, encodeSafetensors } from '@tributary/tensors/safetensors/file'
import { bytesOf, typedView } from '@tributary/tensors/view'
import { v7 } from 'uuid'
import type { ObjectStore } from '../../adapters/object-store.ts'
import { checkInvariants } from '../../testing/check-invariants.ts'
import { exampleManifest, utf8 } from '../../testing/example-model.ts'
import type { RoundFederation } from '../../testing/round-federation.ts'
import { testServices } from '../../testing/test-services.ts'
import { createTask } from '../create-task.ts'

const services = testServices()

const names = ['body.weight', 'norm.weight', 'norm.running_mean', 'head.weight'] as const
const manifest: Manifest = {
  ...exampleManifest,
  tensors: names.map(name => ({
    name,
    dtype: 'F32',
    shape: [2],
    policy: 'average',
    ...(name === 'norm.running_mean' && { buffer: true }),
  })),
}
const f32 = (name: string, ...values: number[]) =>
  ({ name, dtype: 'F32', shape: [2], bytes: bytesOf(Float32Array.from(values)) }) as const
const start = encodeSafetensors(names.map((name, index) => f32(name, index, index)))

const put = async ({ context: { store }, db, version }: RoundFederation) => {
  const [m, w] = await Promise.all([
    store.put(`own/${version}/manifest.json`, utf8(JSON.stringify(manifest))),
    store.put(`own/${version}/weights.safetensors`, start),
  ])
  await db.sql`
    update model_version set graph_key = null, graph_sha256 = null, graph_bytes = null,
      weights_key = ${`own/${version}/weights.safetensors`}, weights_sha256 = ${w.sha256}, weights_bytes = ${w.bytes},
      manifest_key = ${`own/${version}/manifest.json`}, manifest_sha256 = ${m.sha256}, manifest_bytes = ${m.bytes}
    where id = ${version}`
}

const begin = async () => {
  const federation = await services.begin({ north: { trainers: 2 } })
  await put(federation)
  await federation.comeUp()
  const createTask = (keepLocal: readonly string[] | undefined, fields: Record<string, unknown> = {}) =>
    federation.createTask({
      trainer: { framework: 'pytorch', trainer: 'net' },
      ...(keepLocal && { personalisation: { keepLocal } }),
      ...fields,
    })
  const opened = async () => (await federation.commands('round.opened')).at(-1)?.data as unknown as RoundDescriptor
  return { federation, createTask, opened }
}

/** Σ δ · weight of 100, in whole units, under the exponent 25. */
const sumOf = (...tensors: [name: string, value: number][]) =>
  encodeSafetensors(
    tensors.map(([name, value]) => ({
      name: `sum/${name}`,
      dtype: 'I64',
      shape: [2],
      bytes: bytesOf(BigInt64Array.of(BigInt(value * 100) << 25n, 0n)),
    })),
  )

const firstValues = async (key: string) => {
  const weights = decodeSafetensors(await services.store.readAll(key, 10_000))
  return names.map(name => typedView(weights.get(name)?.bytes as Uint8Array, 'F32')[0])
}

test('the rounds of a task go by a manifest of its own, and what it keeps local keeps its value in new versions', async () => {
  const { federation, createTask, opened } = await begin()
  const task = await createTask(['batch-norm', 'head.*'], { rounds: 1 })
  assert.deepEqual((await federation.getTask(task.id)).keptLocal, {
    patterns: [
      { pattern: 'batch-norm', tensors: 2 },
      { pattern: 'head.*', tensors: 1 },
    ],
    tensors: ['norm.weight', 'norm.running_mean', 'head.weight'],
    count: 3,
  })
  const descriptor = await opened()
  const stored = await services.store.readAll(descriptor.manifest.objectKey, 10_000)
  assert.equal(createHash('sha256').update(stored).digest('hex'), descriptor.manifest.sha256)
  assert.equal(stored.length, descriptor.manifest.bytes)
  const local = { policy: 'keep-local' }
  assert.deepEqual(JSON.parse(Buffer.from(stored).toString()), {
    ...manifest,
    tensors: manifest.tensors.map((tensor, index) => (index === 0 ? tensor : { ...tensor, ...local })),
  })
  // The shard's sum holds what is sent, and nothing else.
  await federation.deliver(
    await federation.summed(descriptor, { sum: sumOf(['body.weight', 0.5]), weight: 100, accepted: 2 }),
  )
  await federation.runMerges()
  assert.equal((await federation.getTask(task.id)).state, 'completed')
  const [version] = await services.db.sql<{ key: string; manifest: string }[]>`
    select weights_key as key, manifest_sha256 as manifest from model_version where task = ${task.id}`
  assert.deepEqual(await firstValues(version?.key as string), [0.5, 1, 2, 3])
  // The model's own manifest stays that of its versions.
  assert.equal(version?.manifest, createHash('sha256').update(JSON.stringify(manifest)).digest('hex'))
  await checkInvariants(services.db.sql)
})

test('a task without wishes goes by the manifest of the version, and says nothing', async () => {
  const { federation, createTask, opened } = await begin()
  const task = await createTask(undefined)
  assert.equal('keptLocal' in (await federation.getTask(task.id)), false)
  assert.equal((await opened()).manifest.objectKey, `own/${federation.version}/manifest.json`)
})

test('equal wishes are one object', async () => {
  const { createTask, opened } = await begin()
  await createTask(['head.*'])
  const first = await opened()
  await createTask(['last-layers:1'])
  assert.deepEqual((await opened()).manifest, first.manifest)
})

test('what fits no tensor, or all, is refused by name, and no task is there', async () => {
  const { createTask } = await begin()
  for (const [pattern, detail] of [
    ['tail.*', /"tail\.\*" names no tensor that devices send; they are "body.weight"/],
    ['*', /names every tensor that is averaged/],
  ] as const) {
    await assert.rejects(createTask([pattern]), error => {
      assert.ok(error instanceof Error && 'code' in error && 'extra' in error)
      assert.equal(error.code, 'KEEP_LOCAL_INVALID')
      assert.deepEqual(error.extra, { pattern })
      assert.match(error.message, detail)
      return true
    })
  }
  assert.equal((await services.db.sql`select 1 from task`).length, 0)
})

test('the state of an optimiser goes on only where the same tensors are averaged', async () => {
  const { federation, createTask, opened } = await begin()
  const serverOptimizer = { name: 'fedavgm', learningRate: 1, momentum: 0.5 }
  const play = async (keepLocal: readonly string[], model: object, ...sum: Parameters<typeof sumOf>) => {
    const task = await createTask(keepLocal, { rounds: 1, serverOptimizer, model })
    await federation.deliver(await federation.summed(await opened(), { sum: sumOf(...sum), weight: 100, accepted: 2 }))
    await federation.runMerges()
    const [version] = await services.db.sql<{ id: string; key: string }[]>`
      select id, weights_key as key from model_version where task = ${task.id}`
    assert.ok(version)
    return { model: { model: federation.model, version: version.id }, values: await firstValues(version.key) }
  }
  const norm = 'batch-norm'
  const first = await play([norm], { model: federation.model }, ['body.weight', 1], ['head.weight', 1])
  assert.deepEqual(first.values, [1, 1, 2, 4])
  // v = 0.5 · 1 + 1
  const again = await play([norm], first.model, ['body.weight', 1], ['head.weight', 1])
  assert.deepEqual(again.values, [2.5, 1, 2, 5.5])
  // v = 1: nothing is left of the velocity.
  const other = await play([norm, 'head.*'], first.model, ['body.weight', 1])
  assert.deepEqual(other.values, [2, 1, 2, 4])
})

test('storage is read and written before the transaction, and what was chosen then is what the task starts from', async () => {
  const { federation } = await begin()
  const body = CreateTask.parse({
    name: 'a task',
    model: { model: federation.model },
    rounds: 1,
    cohort: { dataset: 'mnist' },
    trainer: { framework: 'pytorch', trainer: 'net' },
    personalisation: { keepLocal: ['head.*'] },
  })
  const request = federation.request<'createTask'>({ params: undefined, query: undefined, body })
  const prepared = await createTask(federation.context).prepare(request)
  // A newer version comes between.
  const newer = v7()
  await services.db.sql`
    insert into model_version (id, model, number, state, weights_key, weights_sha256, weights_bytes, manifest_key,
      manifest_sha256, manifest_bytes, created_by)
    select ${newer}, model, 2, 'ready', weights_key, weights_sha256, weights_bytes, manifest_key, manifest_sha256,
      manifest_bytes, created_by from model_version where id = ${federation.version}`
  const untouched = new Proxy({} as ObjectStore, {
    get: (_, name) => assert.fail(`storage is used in the transaction: ${String(name)}`),
  })
  const handler = createTask({ ...federation.context, store: untouched })
  const { id } = await services.db.database.transaction(async sql => handler.apply(request, sql, prepared))
  const [task] = await services.db.sql<{ version: string; manifest: unknown }[]>`
    select start_version as version, manifest from task where id = ${id}`
  assert.deepEqual(task, { version: federation.version, manifest: prepared?.local?.manifest })
})
