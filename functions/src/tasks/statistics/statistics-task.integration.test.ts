import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import type { VersionView } from '@tributary/contracts/models'
import type { RoundDescriptor } from '@tributary/contracts/round'
import type { TaskView } from '@tributary/contracts/tasks'
import {
  decodeStatistics,
  encodeStatistics,
  statisticsManifest,
} from '@tributary/learning/statistics/feature-statistics'
import { encodeSafetensors } from '@tributary/tensors/safetensors/file'
import { v7 } from 'uuid'
import { buryVersion } from '../../models/bury-version.ts'
import { createStatistics } from '../../models/create-statistics.ts'
import { exampleManifest, utf8 } from '../../testing/example-model.ts'
import type { RoundFederation } from '../../testing/round-federation.ts'
import { testApi, tokens } from '../../testing/test-api.ts'
import { testServices } from '../../testing/test-services.ts'
import { tasksHandlers } from '../tasks-handlers.ts'

const services = testServices()

/** The version that the route makes, of a model of its own. */
const madeStatistics = async (federation: RoundFederation, entries = 2): Promise<VersionView> => {
  const { context, db } = federation
  const model = v7()
  await db.sql`insert into model (id, name, created_by) values (${model}, ${model}, 'test')`
  const asked = federation.request<'createStatistics'>({
    params: { model },
    query: undefined,
    body: { entries, notes: '' },
  })
  const handler = createStatistics(context)
  const prepared = await handler.prepare(asked)
  return (await context.database.transaction(sql => handler.apply(asked, sql, prepared))) as VersionView
}

const begin = async () => {
  const federation = await services.begin({ north: { trainers: 2 } })
  await federation.comeUp()
  const opened = async () => (await federation.commands('round.opened')).at(-1)?.data as unknown as RoundDescriptor
  return { federation, opened }
}

/** As the third round of a task leaves it. */
const finish = async ({ db }: RoundFederation, { id }: VersionView) => {
  await db.sql`update model_version set round = 3 where id = ${id}`
}

const trainer = { framework: 'statistics' } as const

test('a version of zeros is made in one call, and a task of three rounds begins with it under bounds of its own', async () => {
  const { federation, opened } = await begin()
  const version = await madeStatistics(federation)
  assert.deepEqual([version.state, version.number, version.statistics, version.graph], ['ready', 0, 2, false])
  const task = await federation.createTask({ model: { model: version.model }, trainer, rounds: 7 })
  assert.equal(task.rounds.wanted, 3)
  const { base, manifest, sum, trainer: told, graph } = await opened()
  assert.deepEqual([told.framework, graph], ['statistics', null])
  assert.deepEqual([sum.weighting, sum.weightCap, sum.bound, sum.bufferBound], ['examples', 2 ** 24, 4, 2 ** -12])
  const weights = await services.store.readAll(base.objectKey, 10_000)
  assert.equal(createHash('sha256').update(weights).digest('hex'), base.sha256)
  assert.deepEqual(decodeStatistics(weights), {
    scale: new Float64Array(2),
    mean: new Float64Array(2),
    variance: new Float64Array(2),
  })
  assert.deepEqual(
    JSON.parse(Buffer.from(await services.store.readAll(manifest.objectKey, 10_000)).toString()),
    statisticsManifest(2),
  )
})

test('a task names finished statistics by their alias, its rounds carry them, and nobody deletes them', async () => {
  const { federation, opened } = await begin()
  const version = await madeStatistics(federation, 3)
  await finish(federation, version)
  await federation.db.sql`
    with change as (
      insert into model_alias_change (model, alias, action, version, changed_by)
      values (${version.model}, 'ours', 'promoted', ${version.id}, 'test') returning id)
    insert into model_alias (model, alias, version, change)
    select ${version.model}, 'ours', ${version.id}, id from change`
  const task = await federation.createTask({ statistics: { model: version.model, alias: 'ours' } })
  assert.deepEqual(task.settings.statistics, { model: version.model, version: version.id })
  const { statistics, base } = await opened()
  assert.equal(statistics?.sha256, version.sha256)
  assert.notEqual(base.sha256, version.sha256)
  await federation.db.sql`delete from model_alias`
  await assert.rejects(
    federation.context.database.transaction(sql =>
      buryVersion(federation.context, sql, { model: version.model, version: version.id, actor: 'test' }),
    ),
    { code: 'VERSION_REFERENCED' },
  )
})

test('a clone keeps the statistics of its task, unless it names others', async () => {
  const { federation } = await begin()
  const [own, others] = [await madeStatistics(federation, 3), await madeStatistics(federation, 3)]
  for (const version of [own, others]) await finish(federation, version)
  const origin = await federation.createTask({ statistics: { model: own.model }, start: false })
  const call = testApi('tasks', tasksHandlers(federation.context), services.db)
  const cloned = async (body: Record<string, unknown>) => {
    const answer = await call('POST', `/v1/tasks/${origin.id}/clone`, { token: tokens.operator, body })
    return answer.status === 201 ? (answer.body as TaskView).settings.statistics : answer.body
  }
  assert.deepEqual(await cloned({}), { model: own.model, version: own.id })
  assert.deepEqual(await cloned({ statistics: { model: others.model } }), { model: others.model, version: others.id })
  assert.equal(await cloned({ statistics: null }), undefined)
  assert.equal((await cloned({ statistics: { alias: 'nobody' } })).code, 'ALIAS_UNKNOWN')
})

test('statistics of a model that is not there leave nothing in the store', async () => {
  const { federation } = await begin()
  const model = v7()
  const asked = federation.request<'createStatistics'>({
    params: { model },
    query: undefined,
    body: { entries: 2, notes: '' },
  })
  await assert.rejects(createStatistics(federation.context).prepare(asked), { code: 'NOT_FOUND' })
  assert.deepEqual(await services.store.list(`models/${model}/`, 10), [])
})

test('what is no finished statistics of the input is refused, with what it is instead', async () => {
  const { federation } = await begin()
  const version = await madeStatistics(federation)
  const statistics = { model: version.model }
  const refused = (fields: Record<string, unknown>, detail: RegExp) =>
    assert.rejects(federation.createTask(fields), { code: 'MODEL_INVALID', message: detail })
  await refused({ statistics: { model: federation.model } }, /is a model/)
  await refused({ statistics }, /wait for round 3/)
  await finish(federation, version)
  // The model takes five numbers, and there are two means.
  const bytes = utf8(
    JSON.stringify({ ...exampleManifest, inputs: [{ name: 'x', dtype: 'F32', shape: [null, 5] }], outputs: [] }),
  )
  const stored = await services.store.put('own/manifest.json', bytes)
  await federation.db.sql`
    update model_version set manifest_key = 'own/manifest.json', manifest_sha256 = ${stored.sha256},
      manifest_bytes = ${stored.bytes} where id = ${federation.version}`
  await refused({ statistics }, /2 entries do not fit the 5 features/)
  await refused({ trainer }, /begins with a version that POST/)
  await refused({ model: { model: version.model }, trainer: { framework: 'pytorch', trainer: 'net' } }, /name it in/)
})

test('a statistics task has nothing that would bend its sums', async () => {
  const { federation } = await begin()
  const version = await madeStatistics(federation)
  const model = { model: version.model }
  for (const [path, fields] of [
    ['trainer.otherFrameworks', { trainer: { ...trainer, otherFrameworks: ['keras'] } }],
    ['trainer.trainer', { trainer: { ...trainer, trainer: 'net' } }],
    ['statistics', { trainer, statistics: model }],
    ['personalisation', { trainer, personalisation: { keepLocal: ['mean'] } }],
    ['aggregation.rule', { trainer, aggregation: { rule: 'mean' } }],
    ['aggregation.clippingNorm', { trainer, aggregation: { clippingNorm: 1 } }],
    ['serverOptimizer', { trainer, serverOptimizer: { name: 'fedavgm' } }],
    ['evaluation.dataset', { trainer, evaluation: { dataset: 'test' } }],
  ] as const) {
    await assert.rejects(federation.createTask({ model, ...fields }), error => {
      assert.ok(error instanceof Error && 'code' in error && 'extra' in error)
      assert.equal(error.code, 'BODY_INVALID', error.message)
      const { errors } = error.extra as { errors: { path: string }[] }
      assert.deepEqual(
        errors.map(fault => fault.path),
        [path],
      )
      return true
    })
  }
})

test('what the merge of a statistics task makes is statistics again, and what it found is read from it', async () => {
  const { federation, opened } = await begin()
  const version = await madeStatistics(federation, 1)
  const task = await federation.createTask({ model: { model: version.model }, trainer })
  const descriptor = await opened()
  // Devices found |x| ≤ 8; 2^25 is the exponent of the sum.
  const tensor = (name: string, dtype: 'F64' | 'I64', values: Float64Array | BigInt64Array) => ({
    name,
    dtype,
    shape: [1],
    bytes: new Uint8Array(values.buffer),
  })
  const sum = encodeSafetensors([
    tensor('max/scale', 'F64', Float64Array.of(8)),
    tensor('sum/mean', 'I64', BigInt64Array.of(-(2n ** 25n) * 10n)),
    tensor('sum/mean_rest', 'I64', BigInt64Array.of(0n)),
    tensor('sum/variance', 'I64', BigInt64Array.of(2n ** 20n * 10n)),
    // Theirs is 51 − 24 + 12.
    tensor('sum/variance_rest', 'I64', BigInt64Array.of(2n ** 19n * 10n)),
  ])
  await federation.deliver(await federation.summed(descriptor, { sum, weight: 10, accepted: 2 }))
  await federation.runMerges()
  const [made] = await services.db.sql<{ key: string; statistics: number; round: number }[]>`
    select weights_key as key, statistics, round from model_version where task = ${task.id}`
  assert.deepEqual([made?.statistics, made?.round], [1, 1])
  assert.deepEqual(
    await services.store.readAll(made?.key as string, 10_000),
    encodeStatistics({
      scale: Float64Array.of(8),
      mean: Float64Array.of(-1),
      variance: Float64Array.of(2 ** -5 + 2 ** -20),
    }),
  )
})
