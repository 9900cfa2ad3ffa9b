import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testServices } from '../testing/test-services.ts'
import { sweep } from './sweep.ts'

const services = testServices()
const signal = () => AbortSignal.timeout(20_000)

test('one run of the sweep settles what becomes due while it watches, and ends with the last live task', {
  timeout: 60_000,
}, async () => {
  const federation = await services.begin({ north: { trainers: 2 } })
  await federation.comeUp()
  const task = await federation.createTask({ attempts: 1 })
  // Messages that stay unsent make each look wake the relay.
  await services.db.sql`update outbox set created_at = now() - interval '1 minute'`
  const watching = Promise.withResolvers<void>()
  let looks = 0
  const wakeRelay = async () => {
    looks += 1
    if (looks === 2) watching.resolve()
  }
  const running = sweep({ ...federation.context, wakeRelay }, signal(), { pauseMillis: 10 })
  await watching.promise
  await services.db.sql`update round_attempt set deadline = now() - interval '16 seconds'`
  await running
  assert.equal((await federation.getTask(task.id)).state, 'failed')
})

test('without a live task a run looks once; with one it looks until its time is over', {
  timeout: 60_000,
}, async () => {
  const federation = await services.begin({ north: { trainers: 2 } })
  assert.deepEqual(await sweep(federation.context, signal()), { due: 0, removed: 0, registry: 0 })
  await federation.createTask()
  // The task waits, so each look finds it: one at the start, and as many as pauses fit in.
  const { due } = await sweep(federation.context, signal(), { pauseMillis: 100, watchMillis: 450 })
  assert.ok(due >= 2 && due <= 5, `${due} looks`)
})

test('a task whose time comes long after a run keeps no run looking', { timeout: 60_000 }, async () => {
  const federation = await services.begin({ north: { trainers: 2 } })
  const task = await federation.createTask({ startAt: new Date(Date.now() + 3_600_000).toISOString() })
  assert.equal(task.state, 'queued')
  assert.deepEqual(await sweep(federation.context, signal()), { due: 0, removed: 0, registry: 0 })
})
