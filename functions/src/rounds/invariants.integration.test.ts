import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EvaluationDescriptor, RoundDescriptor } from '@tributary/contracts/round'
import type { Context } from '../context.ts'
import type { TransactionalHandler } from '../http/handler.ts'
import { pauseTask } from '../tasks/pause-task.ts'
import { resumeTask } from '../tasks/resume-task.ts'
import { retryTask } from '../tasks/retry-task.ts'
import { brokenInvariants, checkInvariants } from '../testing/check-invariants.ts'
import { exampleSum } from '../testing/example-model.ts'
import type { RoundFederation } from '../testing/round-federation.ts'
import { testServices } from '../testing/test-services.ts'
import { runDueWork } from './due-work.ts'

const services = testServices()

/** Deterministic, so that a failure can be seen again. mulberry32. */
const random = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
}

const actions = { pause: pauseTask, resume: resumeTask, retry: retryTask }
const nodeId = (federation: RoundFederation, region: string) => federation.nodeOf(region).id

/** What regions would say by now, each event once: sums, failures, evaluations of everything that was opened. */
const newEvents = async (federation: RoundFederation, draw: () => number, told: Set<string>): Promise<string[]> => {
  const events: string[] = []
  for (const { data } of await federation.commands('round.opened')) {
    const descriptor = data as unknown as RoundDescriptor
    const { task, round, attempt } = descriptor
    const { region, shard, epoch } = descriptor.shards[0] as RoundDescriptor['shards'][number]
    const key = `${task} ${round} ${attempt} ${region}`
    if (told.has(key)) continue
    told.add(key)
    const fate = draw()
    const device = federation.devices.find(candidate => candidate.region === region)?.id as string
    const lines = [{ device, label: `${region}-0`, verdict: 'accepted' as const, weight: 50 }]
    if (fate < 0.1) {
      const failed = { task, round, attempt, region, shard, epoch, node: nodeId(federation, region) }
      events.push(federation.event('shard.failed', { ...failed, code: 'DISK_FULL', detail: 'no room' }))
    } else if (fate < 0.2) {
      events.push(await federation.summed(descriptor, { sum: null, weight: 0, accepted: 0, empty: 2, lines }))
    } else {
      const sum = region === 'north' ? exampleSum([35, 20, 50], 7n) : exampleSum([-5, 160, -70], 6n)
      events.push(await federation.summed(descriptor, { sum, weight: 50, accepted: 2, lines }))
    }
  }
  for (const { data } of await federation.commands('evaluation.opened')) {
    const { evaluation, shards } = data as unknown as EvaluationDescriptor
    if (told.has(evaluation)) continue
    told.add(evaluation)
    for (const { region, shard, epoch } of shards) {
      const node = nodeId(federation, region)
      const metrics = { examples: '100', correct: String(Math.floor(draw() * 101)), loss_q20: '104857600' }
      events.push(
        federation.event('evaluation.summed', { evaluation, region, shard, epoch, node, evaluators: 1, metrics }),
      )
    }
  }
  return events
}

const settings = [
  { rounds: 2 },
  { rounds: 3, evaluation: { dataset: 'mnist-test' }, stop: { target: { metric: 'accuracy', value: 0.95 } } },
  { rounds: 3, attempts: 2, cohort: { dataset: 'mnist', size: { quorum: 4 } } },
  {
    rounds: 4,
    evaluation: { dataset: 'mnist-test', cohortShare: 0.5 },
    stop: { patience: { metric: 'loss', rounds: 2 } },
  },
  { rounds: 2, regions: ['north'], priority: 7 },
]

/** What was to be started after a commit may be lost with the connection: time makes it due again. */
const passTime = () => services.db.sql`
  update round_attempt set merge_started_at = now() - interval '31 seconds', settled_at = settled_at - interval '31 seconds'
  where state = 'closing' or participation_due`

const cutOne = () => services.db.sql`
  select pg_terminate_backend(pid) from (
    select pid from pg_stat_activity where application_name like 'tributary-test-%' order by random() limit 1) victim`

/**
 * Some steps of everything at once, in an order drawn from the seed, on four connections.
 * @param cuts connections that are cut in each step
 */
const disturb = async (seed: number, cuts: number): Promise<void> => {
  const federation = await services.begin({
    north: { trainers: 2, evaluators: 1 },
    south: { trainers: 2, evaluators: 1 },
  })
  await services.db.sql`update region set task_slots = 3 where region = 'north'`
  await federation.comeUp()
  await using connections = federation.ownConnections(4)
  const draw = random(seed)
  const contextOf = () => connections.contexts[Math.floor(draw() * 4)] as Context
  const tasks: string[] = []
  for (const fields of settings) tasks.push((await federation.createTask(fields)).id)
  const act = (name: keyof typeof actions, task: string) => {
    const context = contextOf()
    const handler = actions[name](context) as TransactionalHandler<'pauseTask'>
    const request = federation.request<'pauseTask'>({ params: { task }, query: undefined, body: undefined })
    return context.database.transaction(sql => handler(request, sql))
  }
  const told = new Set<string>()
  const past: string[] = []
  for (let step = 0; step < 12; step += 1) {
    const fresh = await newEvents(federation, draw, told)
    past.push(...fresh)
    if (cuts > 0) await passTime()
    const merges = federation.merges.splice(0)
    const task = () => tasks[Math.floor(draw() * tasks.length)] as string
    const wishes = step < 10 ? (['pause', 'resume', 'retry', 'pause', 'resume'] as const) : []
    const work = [
      ...Array.from({ length: 10 }, () => fresh)
        .flat()
        .map(event => () => federation.deliverTo(contextOf(), [event])),
      () => federation.deliverTo(contextOf(), past),
      ...[...merges, ...merges].map(ref => () => federation.merge(ref, contextOf())),
      ...federation.nodes.map(node => () => federation.status(node, {}, contextOf())),
      () => runDueWork(contextOf()),
      ...wishes.map(name => () => act(name, task())),
      ...Array.from({ length: cuts }, () => cutOne),
      ...(step === 7 ? [() => federation.cancelTask(task(), contextOf())] : []),
    ]
    const shuffled = work.map(run => ({ run, order: draw() })).sort((a, b) => a.order - b.order)
    const outcomes = await Promise.allSettled(shuffled.map(({ run }) => run()))
    for (const outcome of outcomes) {
      if (outcome.status === 'fulfilled') continue
      // A wish may come in a state that has no arrow for it; nothing else may fail.
      assert.equal((outcome.reason as { code?: string }).code, 'STATE_CONFLICT', String(outcome.reason))
    }
    await checkInvariants(services.db.sql)
  }
  assert.ok((await federation.commands('task.paused')).length > 0, 'something was paused on the way')
  await finish(federation, draw, { told, past, act })
  const parked = await services.db.sql<{ reason: string }[]>`select reason from parked_message`
  assert.deepEqual([...parked], [])
}

/** Lets everything come to rest: nothing is lost, so every task ends. */
const finish = async (
  federation: RoundFederation,
  draw: () => number,
  run: {
    readonly told: Set<string>
    readonly past: string[]
    readonly act: (name: 'resume', task: string) => Promise<unknown>
  },
): Promise<void> => {
  for (let step = 0; step < 60; step += 1) {
    const states = await services.db.sql<{ id: string; state: string }[]>`select id, state from task`
    if (states.every(({ state }) => ['completed', 'failed', 'cancelled'].includes(state))) break
    for (const { id, state } of states) if (state === 'paused') await run.act('resume', id)
    // Events that were delivered while their shard was not yet of this attempt come again.
    run.past.push(...(await newEvents(federation, draw, run.told)))
    await federation.deliver(...run.past)
    await federation.runMerges()
    await passTime()
    for (const node of federation.nodes) await federation.status(node)
  }
  await federation.runMerges()
  const states = await services.db.sql<{ state: string }[]>`select state from task order by id`
  for (const { state } of states) assert.match(state, /^(completed|failed|cancelled)$/)
  await checkInvariants(services.db.sql)
  // I1: what a version weighs is what the devices of its participation list weigh.
  const wrong = await services.db.sql`
    select a.task, a.round from round_attempt a
    where a.state = 'committed' and (
      select sum(weight) from attempt_shard s
      where s.task = a.task and s.round = a.round and s.attempt = a.attempt and s.state = 'summed' and s.accepted > 0)
      <> (select sum(p.weight) from participation p join attempt_shard s
        on s.task = p.task and s.round = p.round and s.attempt = p.attempt and s.region = p.region and s.accepted > 0
        where p.task = a.task and p.round = a.round and p.attempt = a.attempt)`
  assert.deepEqual([...wrong], [])
}

const what = 'events ten times in any order, amid status calls, pauses, retries and a cancellation, break nothing'
for (const seed of [1, 2, 3, 4, 5, 6]) {
  test(`${what} (seed ${seed})`, { timeout: 120_000 }, () => disturb(seed, 0))
}
for (const seed of [7, 8]) {
  test(`${what}, while connections are cut at any moment (seed ${seed})`, { timeout: 120_000 }, () => disturb(seed, 4))
}

test('the check finds what is broken', async () => {
  const federation = await services.begin({ north: { trainers: 2 } })
  await federation.comeUp()
  const { id } = await federation.createTask()
  const descriptor = (await federation.commands('round.opened'))[0]?.data as unknown as RoundDescriptor
  await federation.deliver(
    await federation.summed(descriptor, { sum: exampleSum([30, 180, -20], 7n), weight: 100, accepted: 2 }),
  )
  await federation.runMerges()
  await federation.createTask()
  const { sql } = services.db
  await checkInvariants(sql)
  const damages: [what: RegExp, statement: string][] = [
    [/is queued with a live attempt/, `update task set state = 'queued' where state = 'running'`],
    [/is committed without what belongs/, 'update round_attempt set version = null where version is not null'],
    [/has not its version/, 'update model_version set attempt = 2 where task is not null'],
    [/versions of task .* are no line/, 'update task set current_version = start_version'],
    [/have gaps/, 'update model_version set number = 7 where task is not null'],
    [/is completed without what/, `update task set finished_at = null where state = 'completed'`],
    [/is not of the pinned epoch/, `update attempt_shard set epoch = 2 where state = 'summed'`],
    [
      /went out 2 times/,
      `insert into outbox (message_id, exchange, routing_key, body)
      select gen_random_uuid(), exchange, routing_key, body from outbox where body ->> 'type' = 'round.settled'`,
    ],
    [/was not told/, `delete from outbox where body ->> 'type' = 'round.settled'`],
    [/runs 1 tasks in 0 slots/, 'update region set task_slots = 0'],
    [/the last audit entry of task/, `update task set state = 'running', finished_at = null where state = 'completed'`],
    [/audited 0 times/, `update round_attempt set state = 'collecting' where state = 'open'`],
    [/the audit chain breaks at entry 2/, `update audit_entry set actor = 'somebody' where sequence = 2`],
  ]
  for (const [what, statement] of damages) {
    await sql
      .begin(async damaged => {
        await damaged.unsafe(statement)
        const broken = await brokenInvariants(damaged)
        assert.ok(
          broken.some(line => what.test(line)),
          `${what} is not among: ${broken.join('; ')}`,
        )
        throw new Error('undo')
      })
      .catch(error => {
        if (!(error instanceof Error) || error.message !== 'undo') throw error
      })
  }
  assert.equal((await federation.getTask(id)).state, 'completed')
})
