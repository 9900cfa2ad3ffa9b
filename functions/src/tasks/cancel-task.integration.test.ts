import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RoundDescriptor } from '@tributary/contracts/round'
import { commitMerge } from '../merge/commit-merge.ts'
import { exampleSum } from '../testing/example-model.ts'
import type { RoundFederation } from '../testing/round-federation.ts'
import { testServices } from '../testing/test-services.ts'

const services = testServices()

const begin = async (): Promise<RoundFederation> => {
  const federation = await services.begin({ north: { trainers: 2 } })
  await federation.comeUp()
  return federation
}
const some = { sum: exampleSum([30, 180, -20], 7n), weight: 100, accepted: 2 }
const openedIn = async (federation: RoundFederation): Promise<RoundDescriptor> =>
  (await federation.commands('round.opened'))[0]?.data as unknown as RoundDescriptor

test('a draft, a waiting task and a running task are cancelled, and cancelling again changes nothing', async () => {
  const federation = await begin()
  const draft = await federation.createTask({ start: false })
  const waiting = await federation.createTask({ cohort: { dataset: 'mnist', size: { minimumToStart: 3 } } })
  const running = await federation.createTask()
  assert.deepEqual([draft.state, waiting.state, running.state], ['draft', 'queued', 'running'])
  for (const { id } of [draft, waiting, running]) {
    const cancelled = await federation.cancelTask(id)
    assert.equal(cancelled.state, 'cancelled')
    assert.deepEqual(cancelled.reason, { code: 'CANCELLED', detail: 'Cancelled by token:test.' })
    assert.deepEqual(await federation.cancelTask(id), cancelled)
  }
  assert.deepEqual(await federation.commands('task.cancelled'), [{ region: 'north', data: { task: running.id } }])
  const entries = await services.db.sql`select 1 from audit_entry where action = 'task.cancelled'`
  assert.equal(entries.length, 3)
})

test('nodes of a cancelled task hear that its attempt is settled, and its late sums change nothing', async () => {
  const federation = await begin()
  const task = await federation.createTask()
  const ref = { task: task.id, round: 1, attempt: 1 }
  const late = await federation.summed(await openedIn(federation), some)
  await federation.cancelTask(task.id)
  const answer = await federation.status(federation.nodeOf('north'), { holding: [ref] })
  assert.deepEqual(answer.settled, [{ ...ref, outcome: 'cancelled' }])
  assert.deepEqual(answer.attempts, [])
  await federation.deliver(late)
  await federation.runMerges()
  assert.equal((await services.db.sql`select 1 from model_version`).length, 1)
  assert.equal((await federation.getTask(task.id)).history[0]?.accepted, 0)
})

test('who took part in the shards that had reported is kept when the task is cancelled', async () => {
  const federation = await services.begin({ north: { trainers: 1 }, south: { trainers: 1 } })
  await federation.comeUp()
  const task = await federation.createTask()
  const device = federation.devices[0] as { id: string }
  const lines = [{ device: device.id, label: 'north-0', verdict: 'invalid' as const, code: 'NOT_FINITE' }]
  await federation.deliver(
    await federation.summed(await openedIn(federation), { sum: null, weight: 0, accepted: 0, lines }),
  )
  await federation.cancelTask(task.id)
  await federation.runMerges()
  assert.deepEqual(
    [...(await services.db.sql`select label, code from participation`)],
    [{ label: 'north-0', code: 'NOT_FINITE' }],
  )
  assert.equal((await federation.getTask(task.id)).state, 'cancelled')
})

test('a task cancelled while it merges keeps its version', async () => {
  const federation = await begin()
  const task = await federation.createTask()
  const ref = { task: task.id, round: 1, attempt: 1 }
  await federation.deliver(await federation.summed(await openedIn(federation), some))
  await federation.cancelTask(task.id)
  await federation.runMerges()
  // A merge that had read its input before the cancellation comes to its commit.
  const weights = { objectKey: 'models/x', sha256: '0'.repeat(64), bytes: 1 }
  const merged = { weights, state: null, optimizer: 'none' }
  const version = await services.db.database.transaction(sql => commitMerge(federation.context, sql, ref, merged))
  assert.equal(version, null)
  const cancelled = await federation.getTask(task.id)
  assert.equal(cancelled.state, 'cancelled')
  assert.equal(cancelled.currentVersion, federation.version)
  assert.equal((await services.db.sql`select 1 from model_version`).length, 1)
})

test('a task that ended otherwise cannot be cancelled', async () => {
  const federation = await begin()
  const task = await federation.createTask()
  await federation.deliver(await federation.summed(await openedIn(federation), some))
  await federation.runMerges()
  await assert.rejects(federation.cancelTask(task.id), {
    code: 'STATE_CONFLICT',
    detail: 'The task is completed already.',
  })
})
