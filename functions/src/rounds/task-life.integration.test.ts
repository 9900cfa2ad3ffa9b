import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeStatusAnswer } from '@tributary/contracts/node-status'
import type { RoundDescriptor } from '@tributary/contracts/round'
import { exampleSum, exampleWeights } from '../testing/example-model.ts'
import { testServices } from '../testing/test-services.ts'

const services = testServices()

const north = { sum: exampleSum([35, 20, 50], 7n), weight: 40, accepted: 2 }
const south = { sum: exampleSum([-5, 160, -70], 6n), weight: 60, accepted: 2 }
/** base + (north + south) / 100, rounded to float32 once; the larger count; the frozen tensor as it was. */
const merged = () => exampleWeights([1.3, 3.8, 2.8], 7n)

const attemptIn = (answer: NodeStatusAnswer): RoundDescriptor => answer.attempts[0] as RoundDescriptor

test('a task runs from creation to a finished version whose bytes are computed by hand', async () => {
  const federation = await services.begin({
    north: { trainers: 2, evaluators: 1 },
    south: { trainers: 2 },
  })
  await federation.comeUp()
  const created = await federation.createTask({ rounds: 2, seed: 7, evaluation: { dataset: 'mnist-test' } })
  assert.equal(created.state, 'running')
  assert.equal(created.settings.seed, 7)

  const opened = await federation.commands('round.opened')
  assert.deepEqual(
    opened.map(({ region, data }) => [region, data.shards]),
    [
      ['north', [{ region: 'north', shard: 0, epoch: 1, goal: 2, select: 2 }]],
      ['south', [{ region: 'south', shard: 0, epoch: 1, goal: 2, select: 2 }]],
    ],
  )
  const [first, second] = opened.map(({ data }) => data as unknown as RoundDescriptor)
  assert.ok(first && second)
  assert.equal(first.taskSeed, '00000007')
  assert.equal(first.sum.maxUpdates, 4)
  assert.deepEqual(attemptIn(await federation.status(federation.nodeOf('north'))), first)

  const device = federation.devices[0] as { id: string }
  const lines = [
    {
      device: device.id,
      label: 'north-0',
      verdict: 'accepted' as const,
      examples: 10,
      weight: 10,
      metrics: { steps: '3' },
    },
  ]
  await federation.deliver(
    await federation.summed(first, { ...north, lines, metrics: { examples: '40', loss_q20: String(20 * 2 ** 20) } }),
  )
  assert.deepEqual(federation.merges, [])
  await federation.deliver(
    await federation.summed(second, { ...south, metrics: { examples: '60', loss_q20: String(55 * 2 ** 20) } }),
  )
  const ref = { task: created.id, round: 1, attempt: 1 }
  assert.deepEqual(federation.merges, [ref])
  await federation.runMerges()

  const key = `models/${federation.model}/tasks/${created.id}/1-1.safetensors`
  assert.deepEqual(Buffer.from(await services.store.readAll(key, 1000)), Buffer.from(merged()))
  const running = await federation.getTask(created.id)
  assert.deepEqual(running.rounds, { wanted: 2, committed: 1 })
  assert.equal(running.history.length, 2)
  const [round] = running.history
  assert.equal(round?.state, 'committed')
  assert.equal(round.weight, 100)
  assert.equal(round.accepted, 4)
  assert.equal(round.trainingLoss, 0.75)
  assert.equal(round.version, running.currentVersion)
  assert.equal(round.accuracy, null)
  assert.equal(round.evaluatedExamples, 0)
  const participants = await services.db.sql`select label, verdict, examples, metrics from participation`
  assert.deepEqual(
    [...participants],
    [{ label: 'north-0', verdict: 'accepted', examples: 10, metrics: { steps: '3' } }],
  )

  const answer = await federation.status(federation.nodeOf('north'), { holding: [ref] })
  assert.deepEqual(answer.settled, [{ ...ref, outcome: 'committed' }])
  const [evaluation] = answer.evaluations
  assert.ok(evaluation)
  assert.equal(evaluation.weights.version, running.currentVersion)
  assert.deepEqual(evaluation.shards, [{ region: 'north', shard: 0, epoch: 1 }])
  const found = {
    evaluation: evaluation.evaluation,
    region: 'north',
    shard: 0,
    epoch: 1,
    node: federation.nodeOf('north').id,
    evaluators: 1,
    metrics: { examples: '10000', correct: '9500', loss_q20: String(2500 * 2 ** 20) },
  }
  await federation.deliver(federation.event('evaluation.summed', found), federation.event('evaluation.summed', found))
  const evaluated = (await federation.getTask(created.id)).history[0]
  assert.deepEqual([evaluated?.accuracy, evaluated?.loss, evaluated?.evaluatedExamples], [0.95, 0.25, 10_000])

  const next = (await federation.commands('round.opened'))
    .slice(2)
    .map(({ data }) => data as unknown as RoundDescriptor)
  assert.equal(next[0]?.base.version, running.currentVersion)
  assert.equal(next[0]?.base.number, 1)
  await federation.deliver(
    await federation.summed(next[0] as RoundDescriptor, north),
    await federation.summed(next[1] as RoundDescriptor, south),
  )
  await federation.runMerges()
  const done = await federation.getTask(created.id)
  assert.equal(done.state, 'completed')
  assert.deepEqual(await federation.commands('task.finished'), [
    { region: 'north', data: { task: created.id, state: 'completed' } },
    { region: 'south', data: { task: created.id, state: 'completed' } },
  ])
  const versions = await services.db.sql`select number, parent is null as root from model_version order by number`
  assert.deepEqual(
    [...versions],
    [
      { number: 0, root: true },
      { number: 1, root: false },
      { number: 2, root: false },
    ],
  )
})

test('the same updates split over one region, or over two, give the same bytes', async () => {
  const federation = await services.begin({ east: { trainers: 4 } })
  await federation.comeUp()
  const task = await federation.createTask({ seed: 7 })
  const descriptor = attemptIn(await federation.status(federation.nodeOf('east')))
  await federation.deliver(
    await federation.summed(descriptor, { sum: exampleSum([30, 180, -20], 7n), weight: 100, accepted: 4 }),
  )
  await federation.runMerges()
  const bytes = await services.store.readAll(`models/${federation.model}/tasks/${task.id}/1-1.safetensors`, 1000)
  assert.deepEqual(Buffer.from(bytes), Buffer.from(merged()))
  assert.equal((await federation.getTask(task.id)).state, 'completed')
})

test('every event delivered ten times, in any order and with other ids, has one effect', async () => {
  const federation = await services.begin({ north: { trainers: 2 }, south: { trainers: 2 } })
  await federation.comeUp()
  const task = await federation.createTask()
  const [first, second] = (await federation.commands('round.opened')).map(
    ({ data }) => data as unknown as RoundDescriptor,
  )
  const same = [
    await federation.summed(first as RoundDescriptor, north),
    await federation.summed(second as RoundDescriptor, south),
  ]
  const renamed = [
    await federation.summed(first as RoundDescriptor, north),
    await federation.summed(second as RoundDescriptor, south),
  ]
  const all = Array.from({ length: 10 }, () => [...same, ...renamed]).flat()
  all.sort(() => Math.random() - 0.5)
  await federation.deliver(...all)
  assert.equal(federation.merges.length, 1)
  await federation.runMerges()
  await federation.deliver(...all)
  const done = await federation.getTask(task.id)
  assert.equal(done.state, 'completed')
  assert.equal(done.history[0]?.weight, 100)
  const [{ versions }] = (await services.db
    .sql`select count(*)::integer as versions from model_version`) as unknown as [{ versions: number }]
  assert.equal(versions, 2)
})
