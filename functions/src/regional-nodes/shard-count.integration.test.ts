import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RegionView } from '@tributary/contracts/fleet'
import type { NodeStatusAnswer } from '@tributary/contracts/node-status'
import type { RoundDescriptor } from '@tributary/contracts/round'
import { shardOf } from '@tributary/learning/sharding'
import { updateRegion } from '../fleet/update-region.ts'
import type { TransactionalHandler } from '../http/handler.ts'
import { exampleSum } from '../testing/example-model.ts'
import type { RoundFederation } from '../testing/round-federation.ts'
import { testServices } from '../testing/test-services.ts'

const services = testServices()

const change = async (
  federation: RoundFederation,
  shardCount: number | null,
  context = federation.context,
): Promise<RegionView> => {
  const request = federation.request<'updateRegion'>({
    params: { region: 'north' },
    query: undefined,
    body: { shardCount },
  })
  const handler = updateRegion(context) as TransactionalHandler<'updateRegion'>
  return (await context.database.transaction(sql => handler(request, sql))) as RegionView
}
const leasesOf = ({ leases }: NodeStatusAnswer) => leases.map(({ shard }) => shard)
const stateOf = async (task: string) => {
  const [row] = await services.db.sql`
    select t.state, t.rounds_committed as rounds, v.weights_sha256 as sha256
    from task t join model_version v on v.id = t.current_version where t.id = ${task}`
  return row
}
/** Delivers a round's sum in as many parts as the attempt has shards, here [a, b, c] for each unit of weight. */
const deliver = async (federation: RoundFederation, attempt: RoundDescriptor, weight: number): Promise<void> => {
  const { shards } = attempt
  const messages = await Promise.all(
    shards.map((plan, index) => {
      const own = Math.floor(weight / shards.length) + (index < weight % shards.length ? 1 : 0)
      const result = {
        sum: exampleSum([3 * own, 18 * own, -2 * own], 7n),
        weight: own,
        accepted: Math.min(plan.goal, own),
      }
      return federation.summed({ ...attempt, shards: [plan] }, result)
    }),
  )
  await federation.deliver(...messages)
  await federation.runMerges()
}
const attemptOf = ({ attempts }: NodeStatusAnswer): RoundDescriptor => {
  const [attempt] = attempts
  assert.ok(attempt !== undefined)
  return attempt
}

test('with nothing running a number of shards takes effect at once, and every shard begins a new epoch', async () => {
  const federation = await services.begin({ north: { trainers: 4, shards: 2 } })
  const node = federation.nodeOf('north')
  await federation.comeUp()
  const grown = await change(federation, 5)
  assert.deepEqual([grown.shardCount, grown.pendingShardCount, grown.shards.length], [5, null, 5])
  assert.deepEqual(
    grown.shards.map(({ node, epoch }) => [node, epoch]),
    [2, 2, 1, 1, 1].map(epoch => [node.id, epoch]),
  )
  const answer = await federation.status(node)
  assert.deepEqual([answer.shardCount, leasesOf(answer)], [5, [0, 1, 2, 3, 4]])
  const shrunk = await change(federation, 1)
  assert.deepEqual([shrunk.shardCount, shrunk.shards.length], [1, 1])
  const after = await federation.status(node)
  assert.deepEqual([after.shardCount, leasesOf(after)], [1, [0]])
  // A shard that comes back goes on with its epochs: nothing of before may pass for new.
  await change(federation, 2)
  const [row] = await services.db.sql`select epoch from region_shard where region = 'north' and shard = 1`
  assert.ok(Number(row?.epoch) > 2)
  const audited = await services.db.sql`
    select detail->'before' as before, detail->'after' as after from audit_entry where action = 'region.shard-count-changed'
    order by sequence`
  assert.deepEqual(
    audited.map(({ before, after }) => [before, after]),
    [
      [2, 5],
      [5, 1],
      [1, 2],
    ],
  )
})

test('during a round the number of shards waits, the task goes on, and the bytes are those of a task without the change', async () => {
  const finish = async (between?: number) => {
    const federation = await services.begin({ north: { trainers: 60 } })
    const node = federation.nodeOf('north')
    await federation.comeUp()
    const task = await federation.createTask({ rounds: 3, seed: 5 })
    const first = attemptOf(await federation.status(node))
    if (between !== undefined) {
      const view = await change(federation, between)
      assert.deepEqual([view.shardCount, view.pendingShardCount], [1, between])
      // Calls change nothing while the attempt runs.
      const answer = await federation.status(node)
      assert.deepEqual([answer.shardCount, leasesOf(answer)], [1, [0]])
      assert.deepEqual(attemptOf(answer), first)
    }
    await deliver(federation, first, 100)
    for (const round of [2, 3]) {
      const attempt = attemptOf(await federation.status(node))
      assert.equal(attempt.round, round)
      assert.equal(attempt.shards.length, between ?? 1)
      // Nobody is left out: every device is in a shard that takes part.
      assert.equal(
        attempt.shards.reduce((sum, { goal }) => sum + goal, 0),
        60,
      )
      await deliver(federation, attempt, 100 + round)
    }
    const state = await stateOf(task.id)
    assert.deepEqual([state?.state, state?.rounds], ['completed', 3])
    return state?.sha256
  }
  const plain = await finish()
  assert.equal(await finish(3), plain)
  assert.equal(await finish(8), plain)
})

test('a new number of shards is divided among the nodes that are there', async () => {
  const federation = await services.begin({ north: { trainers: 60, shards: 2 } })
  const first = federation.nodeOf('north')
  const second = await federation.addNode('north')
  await services.db.sql`update regional_node set last_seen_at = now()`
  await federation.status(first)
  await federation.status(second)
  await federation.createTask({ rounds: 2 })
  const [one, two] = [attemptOf(await federation.status(first)), attemptOf(await federation.status(second))]
  await change(federation, 6)
  for (const attempt of [one, two]) {
    const result = { sum: exampleSum([3, 18, -2], 7n), weight: 1, accepted: 1 }
    await federation.deliver(await federation.summed(attempt, result))
  }
  await federation.runMerges()
  const answers = [await federation.status(first), await federation.status(second)]
  assert.deepEqual(
    answers.map(answer => leasesOf(answer).length),
    [3, 3],
  )
  const shards = answers.flatMap(answer => attemptOf(answer).shards.map(({ shard }) => shard))
  assert.deepEqual(shards.toSorted(), [0, 1, 2, 3, 4, 5])
})

test('a change that waits can be taken back, and one that asks for what is there waits for nothing', async () => {
  const federation = await services.begin({ north: { trainers: 4 } })
  await federation.comeUp()
  await federation.createTask()
  assert.equal((await change(federation, 4)).pendingShardCount, 4)
  assert.equal((await change(federation, null)).pendingShardCount, null)
  assert.equal((await change(federation, 1)).pendingShardCount, null)
})

test('an evaluation that nobody has reported moves to the new shards; one that is reported in part holds the change up', async () => {
  const federation = await services.begin({ north: { trainers: 8, evaluators: 2, shards: 2 } })
  const node = federation.nodeOf('north')
  await federation.comeUp()
  await federation.createTask({ rounds: 1, evaluation: { dataset: 'mnist-test' } })
  const first = attemptOf(await federation.status(node))
  await change(federation, 3)
  await deliver(federation, first, 10)
  // The task is over, its evaluation is not.
  const answer = await federation.status(node)
  assert.equal(answer.shardCount, 3)
  assert.deepEqual(answer.evaluations[0]?.shards.map(({ shard }) => shard).toSorted(), [0, 1, 2])
  await change(federation, 1)
  assert.deepEqual(
    (await federation.status(node)).evaluations[0]?.shards.map(({ shard }) => shard),
    [0],
  )
  await change(federation, 2)
  await services.db.sql`update evaluation_shard set state = 'summed' where shard = 0`
  assert.equal((await change(federation, 4)).pendingShardCount, 4)
  await services.db.sql`update evaluation set state = 'closed'`
  assert.equal((await federation.status(node)).shardCount, 4)
})

test('who is online stands in the shard where it will be, so that the evaluation of the round before finds its evaluators', async () => {
  const federation = await services.begin({ north: { trainers: 30, evaluators: 2 } })
  const node = federation.nodeOf('north')
  await federation.comeUp()
  const boot = '01890a5d-ac96-774b-bcce-b302099a8057'
  const presence = federation.devices.map(({ id: device }) => ({
    device,
    online: true,
    seenAt: new Date().toISOString(),
    agentVersion: '0.1.0',
    frameworks: ['onnx'],
    datasets: [],
  }))
  await federation.status(node, { boot, presence })
  await federation.createTask({ rounds: 2, evaluation: { dataset: 'mnist-test' } })
  const first = attemptOf(await federation.status(node, { boot }))
  await change(federation, 7)
  await deliver(federation, first, 100)
  const expected = new Map<number, { trainer: number; evaluator: number }>()
  for (const { id, kind } of federation.devices) {
    const counts = expected.get(shardOf(id, 7)) ?? { trainer: 0, evaluator: 0 }
    counts[kind] += 1
    expected.set(shardOf(id, 7), counts)
  }
  const rows = await services.db.sql<{ shard: number; trainer: number; evaluator: number }[]>`
    select shard, devices_online as trainer, evaluators_online as evaluator from region_shard where region = 'north'`
  for (const { shard, trainer, evaluator } of rows) {
    assert.deepEqual({ trainer, evaluator }, expected.get(shard) ?? { trainer: 0, evaluator: 0 }, `shard ${shard}`)
  }
  const { evaluations } = await federation.status(node, { boot })
  const evaluated = new Set(evaluations[0]?.shards.map(({ shard }) => shard))
  for (const [shard, { evaluator }] of expected) assert.ok(evaluator === 0 || evaluated.has(shard), `shard ${shard}`)
})

test('an attempt that opens while the number changes is planned by one of the two', async () => {
  const federation = await services.begin({ north: { trainers: 60, shards: 2 } })
  await federation.comeUp()
  await using connections = federation.ownConnections(1)
  const [other] = connections.contexts
  for (let turn = 0; turn < 6; turn += 1) {
    const [task] = await Promise.all([federation.createTask(), change(federation, turn % 2 === 0 ? 5 : 2, other)])
    const [row] = await services.db.sql<{ count: number; shards: number[] }[]>`
      select r.shard_count as count, json_agg(s.shard order by s.shard) as shards
      from attempt_shard s join region r on r.region = s.region
      where s.task = ${task.id} group by r.shard_count`
    assert.deepEqual(
      row?.shards,
      Array.from({ length: row?.count ?? 0 }, (_, shard) => shard),
    )
    await federation.cancelTask(task.id)
    await federation.status(federation.nodeOf('north'))
    await federation.status(federation.nodeOf('north'))
  }
})
