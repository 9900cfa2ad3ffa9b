import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RoundDescriptor } from '@tributary/contracts/round'
import { v7 } from 'uuid'
import { checkInvariants } from '../testing/check-invariants.ts'
import { exampleSum } from '../testing/example-model.ts'
import { testServices } from '../testing/test-services.ts'
import { runDueWork } from './due-work.ts'

const services = testServices()

const begin = async () => {
  const federation = await services.begin({ north: { trainers: 3, evaluators: 1 }, south: { trainers: 2 } })
  await federation.comeUp()
  const opened = async () =>
    (await federation.commands('round.opened')).map(({ data }) => data as unknown as RoundDescriptor)
  return { federation, opened }
}
const cohort = { dataset: 'mnist', groups: ['nobody'], labels: { site: 'none' }, size: { goal: 50, quorum: 20 } }

test('a dry run is one round on one device, seen with its metrics, and makes no version', async () => {
  const { federation, opened } = await begin()
  const device = federation.devices[1]?.id as string
  const task = await federation.createTask({ rounds: 5, cohort, dryRun: { device }, evaluation: { dataset: 'mnist' } })
  assert.deepEqual([task.state, task.rounds], ['running', { wanted: 1, committed: 0 }])
  const [descriptor, ...others] = await opened()
  assert.ok(descriptor)
  assert.deepEqual(others, [])
  assert.deepEqual(descriptor.cohort, { dataset: 'mnist', groups: [], minimumExamples: 1, devices: [device] })
  assert.deepEqual(descriptor.shards, [{ region: 'north', shard: 0, epoch: 1, goal: 1, select: 1 }])
  assert.equal(descriptor.sum.maxUpdates, 1)

  const line = { device, label: 'north-1', verdict: 'accepted' as const, examples: 60, weight: 60, seconds: 2 }
  const metrics = { examples: '60', loss_q20: String(30 * 2 ** 20) }
  const result = { sum: exampleSum([1, 2, 3], 1n), weight: 60, accepted: 1, lines: [line], metrics }
  await federation.deliver(await federation.summed(descriptor, result))
  await federation.runMerges()
  const done = await federation.getTask(task.id)
  assert.deepEqual([done.state, done.reason?.code, done.currentVersion], ['completed', 'DRY_RUN', federation.version])
  const [round, ...rest] = done.history
  assert.deepEqual(rest, [])
  assert.deepEqual(
    [round?.state, round?.reason, round?.accepted, round?.weight, round?.trainingLoss, round?.version],
    ['abandoned', 'DRY_RUN', 1, 60, 0.5, null],
  )
  assert.deepEqual(
    [...(await services.db.sql`select device, verdict, examples, seconds from participation`)],
    [{ device, verdict: 'accepted', examples: 60, seconds: 2 }],
  )
  assert.equal((await services.db.sql`select 1 from model_version`).length, 1)
  assert.equal((await services.db.sql`select 1 from evaluation`).length, 0)
  await checkInvariants(services.db.sql)
})

test('a dry run whose device cannot do it fails as any round does', async () => {
  const { federation, opened } = await begin()
  const device = federation.devices[0]?.id as string
  const task = await federation.createTask({ cohort, dryRun: { device }, attempts: 1 })
  const [descriptor] = await opened()
  const line = { device, label: 'north-0', verdict: 'failed' as const, code: 'DATASET_UNUSABLE' }
  const result = { sum: null, weight: 0, accepted: 0, lines: [line] }
  await federation.deliver(await federation.summed(descriptor as RoundDescriptor, result))
  await federation.runMerges()
  const failed = await federation.getTask(task.id)
  assert.deepEqual([failed.state, failed.history[0]?.reason], ['failed', 'QUORUM_MISSED'])
  assert.equal((await services.db.sql`select code from participation`)[0]?.code, 'DATASET_UNUSABLE')
  await checkInvariants(services.db.sql)
})

test('a dry run on a device that is unknown, revoked, an evaluator, or elsewhere is refused', async () => {
  const { federation } = await begin()
  const [revoked, trainer] = federation.devices as unknown as [{ id: string }, { id: string }]
  const evaluator = federation.devices.find(({ kind }) => kind === 'evaluator')?.id as string
  await services.db.sql`update device set revoked_at = now() where id = ${revoked.id}`
  const refused = (device: string, fields: object, code: string, detail: RegExp) =>
    assert.rejects(federation.createTask({ dryRun: { device }, ...fields }), { code, message: detail })
  await refused(v7(), {}, 'DEVICE_UNKNOWN', /is not enrolled/)
  await refused(revoked.id, {}, 'DEVICE_UNSUITABLE', /is revoked/)
  await refused(evaluator, {}, 'DEVICE_UNSUITABLE', /is an evaluator/)
  await refused(trainer.id, { regions: ['south'] }, 'DEVICE_UNSUITABLE', /is in region north/)
  assert.equal((await federation.createTask({ dryRun: { device: trainer.id }, start: false })).state, 'draft')
})

test('a dry run whose device is revoked before it starts waits, and fails for lack of devices', async () => {
  const { federation } = await begin()
  const device = federation.devices[0]?.id as string
  await services.db.sql`update region_shard set devices_online = 0`
  const task = await federation.createTask({ dryRun: { device }, attempts: 1 })
  await services.db.sql`update device set revoked_at = now() where id = ${device}`
  await services.db.sql`update region_shard set devices_online = 3`
  await services.db.sql`update task set waiting_since = now() - interval '31 seconds'`
  await runDueWork(federation.context)
  const failed = await federation.getTask(task.id)
  assert.deepEqual([failed.state, failed.reason?.code], ['failed', 'TOO_FEW_DEVICES'])
})

test('devices count as eligible where they have every label with its value, and nodes hear of labels and conditions', async () => {
  const { federation, opened } = await begin()
  const label = (index: number, labels: object) =>
    services.db
      .sql`update device set labels = ${services.db.sql.json(labels as never)} where id = ${federation.devices[index]?.id as string}`
  await label(0, { site: 'pole', camera: 'a' })
  await label(1, { site: 'pole' })
  await label(4, { site: 'pole', camera: 'a', more: 'yes' })
  const labels = { camera: 'a', site: 'pole' }
  const conditions = ['idle', 'charging']
  await federation.createTask({ cohort: { dataset: 'mnist', labels, conditions } })
  const descriptors = await opened()
  assert.deepEqual(
    descriptors.flatMap(({ shards }) => shards.map(({ region, goal }) => [region, goal])),
    [
      ['north', 1],
      ['south', 1],
    ],
  )
  assert.deepEqual(descriptors[0]?.cohort, { dataset: 'mnist', groups: [], minimumExamples: 1, labels, conditions })
  const none = await federation.createTask({ cohort: { dataset: 'mnist', labels: { site: 'moon' } } })
  assert.deepEqual([none.state, none.queue?.waitingFor], ['queued', 'devices'])
})
