import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RoundDescriptor } from '@tributary/contracts/round'
import type { Context } from '../context.ts'
import { exampleSum, exampleWeights } from '../testing/example-model.ts'
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

type Run = { readonly federation: RoundFederation; readonly tasks: readonly string[]; readonly cancelled: string }

/**
 * Runs four tasks of three rounds with everything delivered and started several times, at once, on six connections; one task
 * is cancelled on the way.
 * @param disturbances what else happens meanwhile, a number of times a step
 */
const runAll = async (disturbances: number, disturb: () => Promise<unknown>): Promise<Run> => {
  const federation = await services.begin({ north: { trainers: 2 }, south: { trainers: 2 } })
  await federation.comeUp()
  await using connections = federation.ownConnections(6)
  const draw = random(20261125)
  const contextOf = () => connections.contexts[Math.floor(draw() * 6)] as Context
  const tasks: string[] = []
  for (let index = 0; index < 4; index += 1) tasks.push((await federation.createTask({ rounds: 3 })).id)
  const cancelled = tasks[3] as string
  const told = new Set<string>()
  const events: string[] = []
  for (let step = 0; step < 14; step += 1) {
    for (const { data } of await federation.commands('round.opened')) {
      const descriptor = data as unknown as RoundDescriptor
      const { task, round, shards } = descriptor
      const key = `${task} ${round} ${shards[0]?.region}`
      if (told.has(key)) continue
      told.add(key)
      const sum = shards[0]?.region === 'north' ? exampleSum([35, 20, 50], 7n) : exampleSum([-5, 160, -70], 6n)
      events.push(await federation.summed(descriptor, { sum, weight: 50, accepted: 2 }))
    }
    // What was to be started after a commit may be lost with the connection: time makes it due again.
    await services.db
      .sql`update round_attempt set merge_started_at = now() - interval '31 seconds' where state = 'closing'`
    const merges = federation.merges.splice(0)
    const work = [
      ...[...events, ...events].map(event => () => federation.deliverTo(contextOf(), [event])),
      ...[...merges, ...merges].map(ref => () => federation.merge(ref, contextOf())),
      ...federation.nodes.map(node => () => federation.status(node, {}, contextOf())),
      () => runDueWork(contextOf()),
      () => runDueWork(contextOf()),
      ...(step === 3 ? [() => federation.cancelTask(cancelled, contextOf())] : []),
      ...Array.from({ length: disturbances }, () => disturb),
    ]
    const shuffled = work.map(run => ({ run, order: draw() })).sort((a, b) => a.order - b.order)
    await Promise.all(shuffled.map(({ run }) => run()))
  }
  return { federation, tasks, cancelled }
}

const checkAll = async ({ federation, tasks, cancelled }: Run): Promise<void> => {
  // base + 3 · (30, 180, −20) / 100, rounded to float32 after each round.
  let w = [1, 2, 3]
  for (let round = 0; round < 3; round += 1) w = w.map((x, i) => Math.fround(x + ([30, 180, -20][i] as number) / 100))
  const weights = Buffer.from(exampleWeights(w, 7n))
  for (const task of tasks.filter(id => id !== cancelled)) {
    const done = await federation.getTask(task)
    assert.equal(done.state, 'completed')
    assert.deepEqual(
      done.history.map(({ round, attempt, state }) => `${round}/${attempt} ${state}`),
      ['1/1 committed', '2/1 committed', '3/1 committed'],
    )
    const bytes = await services.store.readAll(`models/${federation.model}/tasks/${task}/3-1.safetensors`, 1000)
    assert.deepEqual(Buffer.from(bytes), weights)
  }
  assert.equal((await federation.getTask(cancelled)).state, 'cancelled')
  const versions = await services.db.sql<{ number: number; line: boolean }[]>`
    select v.number, p.task is null or (p.task = v.task and p.round = v.round - 1) as line
    from model_version v join model_version p on p.id = v.parent order by v.number`
  assert.deepEqual(
    versions.map(({ number }) => number),
    Array.from({ length: versions.length }, (_, index) => index + 1),
  )
  assert.ok(versions.every(({ line }) => line))
  const finished = await federation.commands('task.finished')
  assert.equal(finished.length, 6)
  const chain = await services.db.sql<{ sequence: number; linked: boolean }[]>`
    select sequence, previous_hash = lag(hash, 1, decode(repeat('00', 32), 'hex')) over (order by sequence) as linked from audit_entry`
  assert.ok(chain.every(({ linked }) => linked))
}

test('functions that run at the same time, on the same tasks, settle every round once', {
  timeout: 120_000,
}, async () => {
  await checkAll(await runAll(0, async () => undefined))
})

test('connections that are cut at any moment lose nothing and double nothing', { timeout: 120_000 }, async () => {
  let cut = 0
  const cutOne = async () => {
    const ended = await services.db.sql`
      select pg_terminate_backend(pid) from (
        select pid from pg_stat_activity where application_name like 'tributary-test-%' order by random() limit 1) victim`
    cut += ended.length
  }
  await checkAll(await runAll(4, cutOne))
  assert.ok(cut >= 20, `${cut} connections were cut`)
})
