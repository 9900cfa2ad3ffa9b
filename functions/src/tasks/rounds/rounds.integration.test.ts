import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errorCatalogue } from '@tributary/contracts/errors'
import type { EvaluationDescriptor, RoundDescriptor } from '@tributary/contracts/round'
import type { AttemptView } from '@tributary/contracts/task-views'
import { exampleSum } from '../../testing/example-model.ts'
import type { RoundFederation } from '../../testing/round-federation.ts'
import { testApi, tokens } from '../../testing/test-api.ts'
import { testServices } from '../../testing/test-services.ts'
import { tasksHandlers } from '../tasks-handlers.ts'

const services = testServices()

const begin = async () => {
  const federation = await services.begin({ north: { trainers: 2, evaluators: 1 }, south: { trainers: 2 } })
  await federation.comeUp()
  // Every answer is held to the schema of its route.
  const call = testApi('tasks', tasksHandlers(federation.context), services.db)
  const get = async (path: string, query = '') => (await call('GET', path, { token: tokens.viewer, query })).body
  return { federation, call, get }
}

const opened = async (federation: RoundFederation, region: string): Promise<RoundDescriptor> =>
  (await federation.commands('round.opened')).filter(command => command.region === region).at(-1)
    ?.data as unknown as RoundDescriptor

const part = (federation: RoundFederation, index: number, fields: object) => ({
  device: federation.devices[index]?.id as string,
  label: `device-${index}`,
  verdict: 'accepted' as const,
  ...fields,
})

test('a round tells what each region does while it runs, and how and when it came out', async () => {
  const { federation, get } = await begin()
  const cohort = { dataset: 'mnist', size: { quorum: 2 } }
  const { id } = await federation.createTask({ rounds: 2, cohort, evaluation: { dataset: 'mnist' } })
  const north = await opened(federation, 'north')
  const ref = { task: id, round: 1, attempt: 1 }
  const [shard] = north.shards
  const progress = { ...ref, shard: 0, epoch: shard?.epoch as number, selected: 2, accepted: 1, refused: 1 }
  await federation.status(federation.nodeOf('north'), { progress: [{ ...progress, state: 'collecting' }] })

  const path = `/v1/tasks/${id}/rounds`
  const running: AttemptView = (await get(`${path}/1`)).attempts[0]
  assert.deepEqual(
    [running.state, running.goal, running.selected, running.accepted, running.refused, running.empty],
    ['collecting', 4, 2, 1, 1, 0],
  )
  assert.deepEqual(
    running.shards.map(({ region, state, epoch, goal, accepted }) => [region, state, epoch, goal, accepted]),
    [
      ['north', 'collecting', shard?.epoch, 2, 1],
      ['south', 'open', 1, 2, 0],
    ],
  )
  assert.deepEqual(
    [running.weight, running.trainingLoss, running.closedAt, running.settledAt, running.participation],
    [null, null, null, null, []],
  )
  assert.ok(running.firstAcceptedAt !== null)

  const metrics = (examples: number, loss: number) => ({
    examples: String(examples),
    loss_q20: String(loss * examples * 2 ** 20),
  })
  const code = { verdict: 'invalid' as const, code: 'NOT_FINITE', detail: 'w holds NaN' }
  await federation.deliver(
    await federation.summed(north, {
      sum: exampleSum([30, 180, -20], 7n),
      weight: 60,
      accepted: 1,
      metrics: metrics(60, 0.5),
      lines: [
        part(federation, 0, { examples: 60, weight: 60, bytes: 100, seconds: 1.5, metrics: { steps: '3' } }),
        part(federation, 1, { ...code, bytes: 40 }),
      ],
    }),
  )
  const half: AttemptView = (await get(`${path}/1`)).attempts[0]
  assert.deepEqual([half.state, half.weight, half.trainingLoss], ['collecting', 60, 0.5])
  assert.ok(half.shards[0]?.reportedAt !== null)
  await federation.deliver(
    await federation.summed(await opened(federation, 'south'), {
      sum: exampleSum([10, 20, 30], 6n),
      weight: 40,
      accepted: 1,
      empty: 1,
      metrics: metrics(40, 1),
      lines: [
        part(federation, 3, { examples: 40, weight: 40, bytes: 60 }),
        part(federation, 4, { verdict: 'empty' as const, examples: 0, weight: 0 }),
      ],
    }),
  )
  await federation.runMerges()
  const [descriptor] = (await federation.commands('evaluation.opened')).map(
    ({ data }) => data as unknown as EvaluationDescriptor,
  )
  await federation.deliver(
    federation.event('evaluation.summed', {
      evaluation: descriptor?.evaluation as string,
      region: 'north',
      shard: 0,
      epoch: shard?.epoch as number,
      node: federation.nodeOf('north').id,
      evaluators: 1,
      metrics: { examples: '8', correct: '6', loss_q20: String(4 * 2 ** 20) },
    }),
  )

  const done: AttemptView = (await get(`${path}/1`)).attempts[0]
  const [row] = await services.db.sql`
    select id, number, weights_sha256 as sha256, weights_bytes as bytes from model_version where task = ${id}`
  assert.deepEqual(done.version, row)
  assert.deepEqual([done.state, done.accepted, done.empty, done.weight], ['committed', 2, 1, 100])
  // (60 · 0.5 + 40 · 1) / 100
  assert.equal(done.trainingLoss, 0.7)
  assert.deepEqual(done.trainingMetrics, { examples: '100', loss_q20: String(70 * 2 ** 20) })
  assert.deepEqual(done.participation, [
    { region: 'north', devices: 2, verdicts: { accepted: 1, invalid: 1 }, examples: 60, bytes: 140 },
    { region: 'south', devices: 2, verdicts: { accepted: 1, empty: 1 }, examples: 40, bytes: 60 },
  ])
  const times = [done.openedAt, done.firstAcceptedAt, done.closedAt, done.settledAt].map(time => time ?? 'missing')
  assert.deepEqual(times, times.toSorted())
  assert.ok(!times.includes('missing'))
  const { evaluation } = done
  assert.deepEqual(
    [evaluation?.state, evaluation?.dataset, evaluation?.examples, evaluation?.accuracy, evaluation?.loss],
    ['closed', 'mnist', 8, 0.75, 0.5],
  )
  assert.deepEqual(
    evaluation?.shards.map(({ region, evaluators, accuracy }) => [region, evaluators, accuracy]),
    [['north', 1, 0.75]],
  )

  const list = await get(path, 'limit=1')
  assert.deepEqual([list.items.length, list.items[0].round, list.items[0].state], [1, 2, 'open'])
  const second = await get(path, `limit=1&cursor=${list.next}`)
  assert.deepEqual([second.items[0].round, second.items[0].accuracy, second.next], [1, 0.75, null])
  const oldest = await get(path, 'order=oldest')
  assert.deepEqual(
    oldest.items.map(({ round }: { round: number }) => round),
    [1, 2],
  )
})

test('an evaluation without examples is null with 0 examples', async () => {
  const { federation, get } = await begin()
  const { id } = await federation.createTask({ regions: ['north'], evaluation: { dataset: 'mnist' } })
  const north = await opened(federation, 'north')
  const sum = { sum: exampleSum([30, 180, -20], 7n), weight: 100, accepted: 2 }
  await federation.deliver(await federation.summed(north, sum))
  await federation.runMerges()
  const { attempts } = await get(`/v1/tasks/${id}/rounds/1`)
  assert.deepEqual(
    [attempts[0].evaluation.accuracy, attempts[0].evaluation.loss, attempts[0].evaluation.examples],
    [null, null, 0],
  )
  assert.equal(attempts[0].trainingLoss, null)
})

test('an abandoned attempt stays in its round, with its reason and what to do', async () => {
  const { federation, call, get } = await begin()
  const { id } = await federation.createTask({ attempts: 2, cohort: { dataset: 'mnist', size: { quorum: 3 } } })
  for (const region of ['north', 'south']) {
    const descriptor = await opened(federation, region)
    await federation.deliver(await federation.summed(descriptor, { sum: null, weight: 0, accepted: 0 }))
  }
  const { attempts } = await get(`/v1/tasks/${id}/rounds/1`)
  assert.deepEqual(
    attempts.map(({ attempt, state, counted }: AttemptView) => [attempt, state, counted]),
    [
      [1, 'abandoned', true],
      [2, 'open', true],
    ],
  )
  assert.deepEqual(attempts[0].reason, {
    code: 'QUORUM_MISSED',
    detail: '0 updates were accepted, 3 are needed',
    action: errorCatalogue.QUORUM_MISSED.message,
  })
  const { epoch } = (await opened(federation, 'north')).shards[0] as { epoch: number }
  await federation.deliver(
    federation.event('shard.failed', {
      ...{ task: id, round: 1, attempt: 2, region: 'north', shard: 0, epoch, node: federation.nodeOf('north').id },
      code: 'NODE_FULL',
      detail: 'disk full',
    }),
  )
  const failed = (await get(`/v1/tasks/${id}/rounds/1`)).attempts[1].shards[0]
  assert.deepEqual(
    [failed.state, failed.reason],
    ['failed', { code: 'NODE_FULL', detail: 'disk full', action: errorCatalogue.NODE_FULL.message }],
  )
  await call('POST', `/v1/tasks/${id}/cancel`, { token: tokens.operator })
  const last = (await get(`/v1/tasks/${id}/rounds/1`)).attempts[1]
  assert.deepEqual([last.reason.code, last.reason.action, last.counted], ['CANCELLED', null, false])
  assert.equal((await get(`/v1/tasks/${id}/rounds/2`)).code, 'NOT_FOUND')
  assert.equal((await get(`/v1/tasks/${id}/rounds/x`)).code, 'ID_INVALID')
})
