import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RoundDescriptor } from '@tributary/contracts/round'
import type { TaskView } from '@tributary/contracts/tasks'
import type { Context } from '../context.ts'
import { runDueWork } from '../rounds/due-work.ts'
import { tasksHandlers } from '../tasks/tasks-handlers.ts'
import { checkInvariants } from '../testing/check-invariants.ts'
import { exampleSum } from '../testing/example-model.ts'
import type { Enrolment, RoundFederation } from '../testing/round-federation.ts'
import { testApi, tokens } from '../testing/test-api.ts'
import { testServices } from '../testing/test-services.ts'
import { queuePlaces } from './queue-places.ts'

const services = testServices()
const some = { sum: exampleSum([30, 180, -20], 7n), weight: 100, accepted: 2 }

/** @param slots by region */
const begin = async (regions: Readonly<Record<string, Enrolment>>, slots: Readonly<Record<string, number>>) => {
  const federation = await services.begin(regions)
  await federation.comeUp()
  for (const [region, count] of Object.entries(slots)) {
    await services.db.sql`update region set task_slots = ${count} where region = ${region}`
  }
  const call = testApi('tasks', tasksHandlers(federation.context), services.db)
  const act = (task: TaskView, action: string) =>
    call('POST', `/v1/tasks/${task.id}/${action}`, { token: tokens.operator })
  return { federation, act }
}
const statesOf = async (federation: RoundFederation, tasks: readonly TaskView[]) =>
  Promise.all(tasks.map(async ({ id }) => (await federation.getTask(id)).state))
const placeOf = async (federation: RoundFederation, { id }: TaskView) => (await federation.getTask(id)).queue
/** Ends the only round of a task. */
const finish = async (federation: RoundFederation, { id }: TaskView): Promise<void> => {
  for (const { data } of await federation.commands('round.opened')) {
    if (data.task !== id) continue
    await federation.deliver(await federation.summed(data as unknown as RoundDescriptor, some))
  }
  await federation.runMerges()
}
const two = { trainers: 2 }

test('a region without a limit runs every task at once', async () => {
  const { federation } = await begin({ north: two }, {})
  const tasks = [await federation.createTask(), await federation.createTask(), await federation.createTask()]
  assert.deepEqual(await statesOf(federation, tasks), ['running', 'running', 'running'])
  assert.deepEqual(
    tasks.map(({ queue }) => queue),
    [null, null, null],
  )
})

test('of the tasks that wait for a slot the highest priority starts first, of equals the oldest', async () => {
  const { federation, act } = await begin({ north: two }, { north: 1 })
  const first = await federation.createTask()
  const [older, younger] = [await federation.createTask(), await federation.createTask()]
  const urgent = await federation.createTask({ priority: 9 })
  const idle = await federation.createTask({ priority: 0 })
  const waiting = [urgent, older, younger, idle]
  assert.deepEqual(await statesOf(federation, [first, ...waiting]), ['running', 'queued', 'queued', 'queued', 'queued'])
  for (const [index, task] of waiting.entries()) {
    assert.deepEqual(await placeOf(federation, task), {
      position: index + 1,
      waitingFor: 'slots',
      regions: ['north'],
    })
  }
  // Status calls do not let anybody in before there is room.
  await federation.status(federation.nodeOf('north'))
  assert.deepEqual(await statesOf(federation, waiting), ['queued', 'queued', 'queued', 'queued'])
  await finish(federation, first)
  assert.deepEqual(await statesOf(federation, waiting), ['running', 'queued', 'queued', 'queued'])
  await act(urgent, 'cancel')
  assert.deepEqual(await statesOf(federation, waiting), ['cancelled', 'running', 'queued', 'queued'])
  await act(older, 'pause')
  assert.deepEqual(await statesOf(federation, waiting), ['cancelled', 'paused', 'running', 'queued'])
  // Resumed, it comes before whoever joined after it; it has to wait as well.
  assert.deepEqual((await act(older, 'resume')).body.queue, { position: 1, waitingFor: 'slots', regions: ['north'] })
  assert.equal((await placeOf(federation, idle))?.position, 2)
  await services.db.sql`update region set task_slots = 3`
  await federation.status(federation.nodeOf('north'))
  assert.deepEqual(await statesOf(federation, waiting), ['cancelled', 'running', 'running', 'running'])
  await checkInvariants(services.db.sql)
})

test('a task of several regions needs a slot in each, and is not overtaken by smaller ones of its priority', async () => {
  const { federation } = await begin({ north: two, south: two }, { north: 1, south: 1 })
  const inNorth = await federation.createTask({ regions: ['north'] })
  const both = await federation.createTask()
  const inSouth = await federation.createTask({ regions: ['south'] })
  assert.deepEqual(await placeOf(federation, both), { position: 1, waitingFor: 'slots', regions: ['north'] })
  // The slot of the south is kept for the older one.
  assert.deepEqual(await placeOf(federation, inSouth), { position: 2, waitingFor: 'slots', regions: ['south'] })
  await finish(federation, inNorth)
  assert.deepEqual(await statesOf(federation, [both, inSouth]), ['running', 'queued'])
  const urgent = await federation.createTask({ regions: ['south'], priority: 6 })
  await finish(federation, both)
  assert.deepEqual(await statesOf(federation, [both, inSouth, urgent]), ['completed', 'queued', 'running'])
  await checkInvariants(services.db.sql)
})

test('the wait for devices begins with the turn, not with the queue', async () => {
  const { federation } = await begin({ north: two }, { north: 1 })
  const first = await federation.createTask()
  const next = await federation.createTask({ cohort: { dataset: 'mnist', size: { minimumToStart: 3 } } })
  const waitingSince = async () =>
    (await services.db.sql<{ since: Date | null }[]>`select waiting_since as since from task where id = ${next.id}`)[0]
      ?.since
  assert.equal(await waitingSince(), null)
  await finish(federation, first)
  assert.deepEqual(await placeOf(federation, next), { position: 1, waitingFor: 'devices', regions: [] })
  assert.ok((await waitingSince()) instanceof Date)
  // A more urgent one takes the turn; the wait will begin anew.
  await federation.createTask({ priority: 6 })
  await federation.status(federation.nodeOf('north'))
  assert.equal((await placeOf(federation, next))?.waitingFor, 'slots')
})

test('a region with no slot at all starts nothing', async () => {
  const { federation } = await begin({ north: two }, { north: 0 })
  const task = await federation.createTask()
  await federation.status(federation.nodeOf('north'))
  assert.deepEqual(await statesOf(federation, [task]), ['queued'])
})

test('a task does not start before its time, stands in nobody’s way until then, and then starts by itself', async () => {
  const { federation } = await begin({ north: two }, { north: 1 })
  const startAt = new Date(Date.now() + 3_600_000).toISOString()
  const later = await federation.createTask({ startAt, priority: 9 })
  assert.deepEqual([later.state, later.queue], ['queued', { position: null, waitingFor: 'start-time', regions: [] }])
  assert.equal(await runDueWork(federation.context), 0)
  const now = await federation.createTask({ startAt: '2020-01-01T00:00:00.000Z' })
  assert.equal(now.state, 'running')
  await services.db.sql`update task set start_at = now() where id = ${later.id}`
  await federation.status(federation.nodeOf('north'))
  assert.deepEqual(await placeOf(federation, later), { position: 1, waitingFor: 'slots', regions: ['north'] })
  await finish(federation, now)
  assert.deepEqual(await statesOf(federation, [later]), ['running'])
})

test('functions that run at the same time never start more tasks than there are slots', {
  timeout: 120_000,
}, async () => {
  const { federation } = await begin({ north: two, south: two, west: two }, { north: 2, south: 3 })
  await using connections = federation.ownConnections(6)
  const regions = [['north'], ['south'], ['north', 'south'], [], ['west', 'south']]
  const tasks: TaskView[] = []
  for (let index = 0; index < 20; index += 1) {
    tasks.push(await federation.createTask({ start: false, regions: regions[index % 5], priority: index % 3 }))
  }
  const call = connections.contexts.map(context => testApi('tasks', tasksHandlers(context), context))
  const callOf = (index: number) => call[index % 6] as (typeof call)[number]
  const context = (index: number) => connections.contexts[index % 6] as Context
  const rush = () => [
    ...federation.nodes.map((node, index) => federation.status(node, {}, context(index))),
    ...Array.from({ length: 6 }, (_, index) => runDueWork(context(index))),
  ]
  const start = tasks.map(({ id }, index) => callOf(index)('POST', `/v1/tasks/${id}/start`, { token: tokens.operator }))
  const [answers] = await Promise.all([Promise.all(start), ...rush()])
  assert.deepEqual(
    answers.map(answer => answer.status),
    Array(20).fill(200),
  )
  await Promise.all(rush())
  const most = { north: 0, south: 0 }
  for (let step = 0; step < 40; step += 1) {
    await checkInvariants(services.db.sql)
    const running = await services.db.sql<{ id: string; regions: string[] }[]>`
      select id, regions from task where state = 'running' order by id`
    for (const region of ['north', 'south'] as const) {
      const held = running.filter(task => task.regions.length === 0 || task.regions.includes(region)).length
      most[region] = Math.max(most[region], held)
    }
    if (running.length === 0) break
    const [ended, paused] = running
    await Promise.all([
      federation.cancelTask(ended?.id as string, context(step)),
      ...(paused === undefined
        ? []
        : [callOf(step)('POST', `/v1/tasks/${paused.id}/pause`, { token: tokens.operator })]),
      ...rush(),
    ])
    await Promise.all([
      ...(paused === undefined
        ? []
        : [callOf(step)('POST', `/v1/tasks/${paused.id}/resume`, { token: tokens.operator })]),
      ...rush(),
    ])
  }
  // As many as there are slots, and no more.
  assert.deepEqual(most, { north: 2, south: 3 })
  assert.deepEqual([...new Set(await statesOf(federation, tasks))], ['cancelled'])
})

test('the queue is found by index among many tasks that are over', async () => {
  const { federation } = await begin({ north: two }, { north: 1 })
  const { id } = await federation.createTask()
  await federation.createTask()
  const { sql } = services.db
  await sql`
    insert into task (id, name, state, model, start_version, current_version, rounds_wanted, settings, seed, created_by)
    select gen_random_uuid(), name, 'completed', model, start_version, current_version, rounds_wanted, settings, seed, created_by
    from task, generate_series(1, 20000) where id = ${id}`
  await sql`analyze task`
  const plan = await sql<{ 'QUERY PLAN': string }[]>`explain ${queuePlaces(sql)}`
  const lines = plan.map(row => row['QUERY PLAN']).join('\n')
  assert.doesNotMatch(lines, /Seq Scan on task/)
  assert.match(lines, /Index Scan using task_(live|queue)/)
})
