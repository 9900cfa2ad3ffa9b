import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RoundDescriptor } from '@tributary/contracts/round'
import { exampleSum } from '../testing/example-model.ts'
import type { Enrolment, RoundFederation } from '../testing/round-federation.ts'
import { testServices } from '../testing/test-services.ts'
import { runDueWork } from './due-work.ts'

const services = testServices()

const begin = async (regions: Readonly<Record<string, Enrolment>>): Promise<RoundFederation> => {
  const federation = await services.begin(regions)
  await federation.comeUp()
  return federation
}
const descriptors = async (federation: RoundFederation): Promise<RoundDescriptor[]> =>
  (await federation.commands('round.opened')).map(({ data }) => data as unknown as RoundDescriptor)
const nothing = { sum: null, weight: 0, accepted: 0 }
const some = { sum: exampleSum([30, 180, -20], 7n), weight: 100, accepted: 2 }
/** As if the deadline, and the time that shards have after it, were over. */
const passDeadline = () =>
  services.db.sql`update round_attempt set deadline = now() - interval '16 seconds' where settled_at is null`

test('a round in which every device reports zero examples is abandoned and writes nothing', async () => {
  const federation = await begin({ north: { trainers: 2 } })
  const task = await federation.createTask({ attempts: 1 })
  const [descriptor] = await descriptors(federation)
  await federation.deliver(await federation.summed(descriptor as RoundDescriptor, { ...nothing, empty: 2 }))
  const failed = await federation.getTask(task.id)
  assert.equal(failed.state, 'failed')
  assert.equal(failed.currentVersion, federation.version)
  assert.equal(failed.reason?.code, 'ATTEMPTS_EXHAUSTED')
  assert.match(failed.reason.detail, /ZERO_TOTAL_WEIGHT/)
  assert.equal(failed.history[0]?.reason, 'ZERO_TOTAL_WEIGHT')
  assert.equal((await services.db.sql`select 1 from model_version where task is not null`).length, 0)
  assert.deepEqual(await federation.commands('round.settled'), [
    {
      region: 'north',
      data: { task: task.id, round: 1, attempt: 1, outcome: 'abandoned', reason: 'ZERO_TOTAL_WEIGHT' },
    },
  ])
})

test('a missed quorum opens the next attempt on the same base, until the attempts are used up', async () => {
  const federation = await begin({ north: { trainers: 3 } })
  const task = await federation.createTask({
    attempts: 2,
    cohort: { dataset: 'mnist', size: { quorum: 3 } },
  })
  const [first] = await descriptors(federation)
  const line = {
    device: federation.devices[0]?.id as string,
    label: 'north-0',
    verdict: 'invalid' as const,
    code: 'NOT_FINITE',
  }
  await federation.deliver(
    await federation.summed(first as RoundDescriptor, { ...some, accepted: 2, empty: 0, lines: [line] }),
  )
  const waiting = await federation.getTask(task.id)
  assert.equal(waiting.state, 'running')
  const [, second] = await descriptors(federation)
  assert.deepEqual([second?.round, second?.attempt, second?.base.version], [1, 2, federation.version])
  // Who failed, and why, can be seen although nothing was merged.
  await federation.runMerges()
  const [participant] = await services.db.sql`select attempt, verdict, code from participation`
  assert.deepEqual(participant, { attempt: 1, verdict: 'invalid', code: 'NOT_FINITE' })

  await federation.deliver(await federation.summed(second as RoundDescriptor, { ...nothing, empty: 0 }))
  const failed = await federation.getTask(task.id)
  assert.equal(failed.state, 'failed')
  assert.equal(failed.reason?.code, 'ATTEMPTS_EXHAUSTED')
  assert.match(failed.reason.detail, /2 of 2 attempts .* QUORUM_MISSED/)
  assert.deepEqual(
    (await federation.commands('task.finished')).map(({ data }) => data),
    [{ task: task.id, state: 'failed' }],
  )
})

test('a shard that is missing after the deadline does not block a quorum', async () => {
  const federation = await begin({ north: { trainers: 2 }, south: { trainers: 2 } })
  const task = await federation.createTask({ cohort: { dataset: 'mnist', size: { quorum: 2 } } })
  const [first] = await descriptors(federation)
  await federation.deliver(await federation.summed(first as RoundDescriptor, some))
  assert.equal(await runDueWork(federation.context), 0)
  await passDeadline()
  assert.equal(await runDueWork(federation.context), 1)
  await federation.runMerges()
  const done = await federation.getTask(task.id)
  assert.equal(done.state, 'completed')
  assert.equal(done.history[0]?.weight, 100)
  assert.deepEqual(
    done.history[0].regions.map(({ region, state }) => [region, state]),
    [
      ['north', 'summed'],
      ['south', 'open'],
    ],
  )
})

test('a deadline that passes without the quorum abandons the attempt, with no new arrival', async () => {
  const federation = await begin({ north: { trainers: 2 } })
  const task = await federation.createTask({ attempts: 1 })
  await passDeadline()
  await runDueWork(federation.context)
  const failed = await federation.getTask(task.id)
  assert.equal(failed.state, 'failed')
  assert.equal(failed.history[0]?.reason, 'QUORUM_MISSED')
})

test('a shard that fails leaves the attempt to the others', async () => {
  const federation = await begin({ north: { trainers: 2 }, south: { trainers: 2 } })
  await federation.createTask({ cohort: { dataset: 'mnist', size: { quorum: 2 } } })
  const [first, second] = await descriptors(federation)
  const { task, round, attempt } = first as RoundDescriptor
  const node = federation.nodeOf('south').id
  const failed = {
    task,
    round,
    attempt,
    region: 'south',
    shard: 0,
    epoch: 1,
    node,
    code: 'DISK_FULL',
    detail: '\0 no room',
  }
  await federation.deliver(federation.event('shard.failed', failed))
  await federation.deliver(
    await federation.summed(second as RoundDescriptor, some),
    await federation.summed(first as RoundDescriptor, some),
  )
  assert.equal(federation.merges.length, 1)
  await federation.runMerges()
  assert.equal((await federation.getTask(task)).history[0]?.weight, 100)
})

test('a task without devices waits, and its selection deadlines count as attempts', async () => {
  const federation = await begin({ north: { trainers: 2 } })
  const task = await federation.createTask({ attempts: 2, cohort: { dataset: 'mnist', size: { minimumToStart: 3 } } })
  assert.equal(task.state, 'queued')
  assert.equal(await runDueWork(federation.context), 1)
  assert.deepEqual((await federation.getTask(task.id)).history, [])
  const passSelection = () => services.db.sql`update task set waiting_since = now() - interval '31 seconds'`
  await passSelection()
  await runDueWork(federation.context)
  const waiting = await federation.getTask(task.id)
  assert.equal(waiting.state, 'queued')
  assert.deepEqual([waiting.history[0]?.attempt, waiting.history[0]?.reason], [1, 'TOO_FEW_DEVICES'])
  await passSelection()
  await runDueWork(federation.context)
  const failed = await federation.getTask(task.id)
  assert.equal(failed.state, 'failed')
  assert.equal(failed.reason?.code, 'TOO_FEW_DEVICES')
  assert.match(failed.reason.detail, /2 devices are online, 3 are needed/)
  assert.equal(await runDueWork(federation.context), 0)
})

test('a task that goes on waiting is not written', async () => {
  const federation = await begin({ north: { trainers: 2 } })
  await federation.createTask({ cohort: { dataset: 'mnist', size: { minimumToStart: 3 } } })
  // xmin is the transaction that wrote the row last.
  const written = async () => (await services.db.sql`select xmin::text, waiting_since from task`)[0]
  const before = await written()
  assert.ok(before?.waiting_since instanceof Date)
  for (let call = 0; call < 3; call += 1) await federation.status(federation.nodeOf('north'))
  assert.equal(await runDueWork(federation.context), 1)
  assert.deepEqual(await written(), before)
})

test('a task that waits starts with the status call that brings its devices', async () => {
  const federation = await services.begin({ north: { trainers: 2 } })
  const task = await federation.createTask()
  assert.equal(task.state, 'queued')
  const [north] = federation.nodes
  assert.ok(north)
  assert.deepEqual((await federation.status(north)).attempts, [])
  const answer = await federation.status(north)
  assert.equal(answer.attempts[0]?.task, task.id)
  assert.equal((await federation.getTask(task.id)).state, 'running')
})

test('messages that cannot be used are parked with their reason, and those beside them count', async () => {
  const federation = await begin({ north: { trainers: 2 } })
  const task = await federation.createTask()
  const [descriptor] = await descriptors(federation)
  assert.ok(descriptor)
  const good = await federation.summed(descriptor, some)
  const forged = JSON.parse(good) as { id: string; data: Record<string, unknown> }
  const forge = (id: string, fields: Record<string, unknown>): string =>
    JSON.stringify({ ...forged, id, data: { ...forged.data, ...fields } })
  await federation.deliver(
    'not JSON \0',
    JSON.stringify({ type: 'shard.exploded' }),
    forge('01890000-0000-7000-8000-000000000001', { weight: '99999999999999999999' }),
    forge('01890000-0000-7000-8000-000000000002', { task: '01890000-0000-7000-8000-00000000000f' }),
    forge('01890000-0000-7000-8000-000000000003', { node: '01890000-0000-7000-8000-00000000000f' }),
    forge('01890000-0000-7000-8000-000000000004', {
      sum: { objectKey: 'models/somebody-else', sha256: '0'.repeat(64), bytes: 1 },
    }),
    forge('01890000-0000-7000-8000-000000000005', { epoch: 2 }),
    good,
  )
  await federation.runMerges()
  assert.equal((await federation.getTask(task.id)).state, 'completed')
  const parked = await services.db.sql<{ reason: string }[]>`select reason from parked_message order by id`
  assert.deepEqual(
    parked.map(({ reason }) => reason.replace(/ [0-9a-f-]{36}$/, '')),
    [
      'not JSON',
      'unknown type "shard.exploded"',
      'weight 99999999999999999999 of 2 updates is impossible in this attempt',
      'no such shard of an attempt, or not of node',
      'no such shard of an attempt, or not of node',
      'the sum is not under the key of this shard and epoch',
    ],
  )
})

test('a merge that falls silent is started again, and given up before 90 s after the deadline', async () => {
  const federation = await begin({ north: { trainers: 2 } })
  const task = await federation.createTask({ attempts: 1 })
  const [descriptor] = await descriptors(federation)
  await federation.deliver(await federation.summed(descriptor as RoundDescriptor, some))
  federation.merges.length = 0
  assert.equal(await runDueWork(federation.context), 0)
  await services.db.sql`update round_attempt set merge_started_at = now() - interval '31 seconds'`
  await runDueWork(federation.context)
  await runDueWork(federation.context)
  assert.equal(federation.merges.length, 1)
  await services.db
    .sql`update round_attempt set merge_started_at = now() - interval '31 seconds', deadline = now() - interval '46 seconds'`
  await runDueWork(federation.context)
  assert.equal((await federation.getTask(task.id)).state, 'failed')
  assert.equal((await federation.getTask(task.id)).history[0]?.reason, 'UNAVAILABLE')
  await federation.runMerges()
  assert.equal((await services.db.sql`select 1 from model_version`).length, 1)
})

test('an evaluation whose evaluators never report closes at its deadline with n = 0', async () => {
  const federation = await begin({ north: { trainers: 2, evaluators: 1 } })
  const task = await federation.createTask({ evaluation: { dataset: 'mnist-test' } })
  const [descriptor] = await descriptors(federation)
  await federation.deliver(await federation.summed(descriptor as RoundDescriptor, some))
  await federation.runMerges()
  await services.db.sql`update evaluation set deadline = now() - interval '16 seconds'`
  assert.equal(await runDueWork(federation.context), 1)
  const [evaluation] = await services.db.sql<{ id: string; state: string }[]>`select id, state from evaluation`
  assert.ok(evaluation)
  assert.equal(evaluation.state, 'closed')
  const { accuracy, loss, evaluatedExamples } = (await federation.getTask(task.id)).history[0] ?? {}
  assert.deepEqual([accuracy, loss, evaluatedExamples], [null, null, 0])
  const held = { holdingEvaluations: [evaluation.id] }
  const answer = await federation.status(federation.nodeOf('north'), held)
  assert.deepEqual(answer.settledEvaluations, held.holdingEvaluations)
})

test('a task with a defect holds up neither the due work of others nor the events behind its own', async () => {
  const federation = await begin({ north: { trainers: 2 } })
  const broken = await federation.createTask({ attempts: 2 })
  const [first] = await descriptors(federation)
  const event = await federation.summed(first as RoundDescriptor, { ...nothing, empty: 2 })
  const sound = await federation.createTask()
  const [, second] = await descriptors(federation)
  // Its next attempt would have to describe a version that cannot be described.
  await services.db
    .sql`insert into model_version (id, model, number, state, weights_key, weights_sha256, weights_bytes, manifest_key,
      manifest_sha256, manifest_bytes, created_by)
    select ${broken.id}, model, 9, 'uploading', '', '', 0, '', '', 0, '' from model_version`
  await services.db.sql`update task set current_version = ${broken.id} where id = ${broken.id}`
  await federation.deliver(event, await federation.summed(second as RoundDescriptor, some))
  await federation.runMerges()
  assert.equal((await federation.getTask(sound.id)).state, 'completed')
  const [parked] = await services.db.sql<{ reason: string }[]>`select reason from parked_message`
  assert.match(parked?.reason ?? '', /^the effect failed: Error: model version .* is not ready$/)

  const late = await federation.createTask({ attempts: 1 })
  await passDeadline()
  await runDueWork(federation.context)
  assert.equal((await federation.getTask(late.id)).state, 'failed')
  assert.equal((await federation.getTask(broken.id)).state, 'running')
})

test('tasks that wait for devices in vain do not keep another one from its turn', async () => {
  const federation = await begin({ north: { trainers: 1 }, south: { trainers: 2 } })
  const inNorth = { regions: ['north'], cohort: { dataset: 'mnist', size: { minimumToStart: 2 } } }
  for (let index = 0; index < 60; index += 1) await federation.createTask({ name: `waits ${index}`, ...inNorth })
  await services.db.sql`update region_shard set devices_online = 0 where region = 'south'`
  const task = await federation.createTask({ name: 'waits last', regions: ['south'] })
  assert.equal(task.state, 'queued')
  // Of 61 tasks 50 are looked at; the chance that this one is left out forty times is below 1e-29.
  for (let call = 0; call < 40 && (await federation.getTask(task.id)).state === 'queued'; call += 1)
    await federation.status(federation.nodeOf('south'))
  assert.equal((await federation.getTask(task.id)).state, 'running')
})

test('due work stops when its time is over, and the next call does it', async () => {
  const federation = await begin({ north: { trainers: 2 } })
  const task = await federation.createTask({ attempts: 1 })
  await passDeadline()
  assert.equal(await runDueWork(federation.context, AbortSignal.abort()), 1)
  assert.equal((await federation.getTask(task.id)).state, 'running')
  assert.equal(await runDueWork(federation.context), 1)
  assert.equal((await federation.getTask(task.id)).state, 'failed')
})
