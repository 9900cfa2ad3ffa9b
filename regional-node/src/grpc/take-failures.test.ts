import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { FailedWorkSchema, VerdictCode } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { Participation } from '@tributary/contracts/participation'
import { until } from '../testing/manual-clock.ts'
import { sampleDescriptor, sampleEvaluation, sampleUpdate } from '../testing/sample-round.ts'
import { TestShard } from '../testing/test-shard.ts'
import { evaluationWork } from './assignments.ts'
import { takeFailures } from './take-failures.ts'

const update = sampleUpdate([1, 2, 3], [4, 5])

/** Declares by device `number` that it cannot do the work of a token. */
const declare = (shard: TestShard, number: number, token: string, code: string, detail = '') => {
  const services = { ...shard.admission, evaluations: shard.evaluations }
  return takeFailures(services, shard.device(number), [create(FailedWorkSchema, { token, code, detail })])
}

const participants = async (shard: TestShard) => {
  const event = await shard.summed()
  const lines = `${shard.store.objects.get(event.participation.objectKey)}`.trimEnd().split('\n')
  return lines
    .map(line => Participation.parse(JSON.parse(line)))
    .map(({ label, verdict, code, detail }) => [label, verdict, code, detail])
}

test('who cannot train is not waited for, and is listed with code and detail, also after a restart', async () => {
  await using shard = await TestShard.open()
  const descriptor = sampleDescriptor(shard.clock.now())
  shard.online(1)
  shard.online(2)
  await shard.opened(descriptor)
  const { token } = await shard.header(descriptor, 1, update)
  const detail = 'ä'.repeat(600)
  await declare(shard, 1, token, 'DATASET_UNUSABLE', detail)
  await declare(shard, 1, token, 'TRAINING_FAILED', 'once more')
  await shard.restart()
  shard.online(1)
  shard.online(2)
  const attempt = await shard.opened(descriptor)
  assert.equal(await attempt.offers(shard.device(1)), false)
  assert.deepEqual(shard.attempts.progress[0]?.refused, 1)
  const late = await shard.push(descriptor, 1, update)
  assert.equal(late.code, VerdictCode.CONFLICT, 'the declaration stands')
  assert.equal((await shard.push(descriptor, 2, update)).code, VerdictCode.ACCEPTED)
  // The clock has not moved: the deadline is 70 s away.
  assert.deepEqual(await participants(shard), [
    ['device-1', 'failed', 'DATASET_UNUSABLE', 'ä'.repeat(500)],
    ['device-2', 'accepted', undefined, undefined],
  ])
})

test('codes that are none become TRAINING_FAILED, and its message stands in for a missing detail', async () => {
  await using shard = await TestShard.open()
  const descriptor = sampleDescriptor(shard.clock.now(), { goal: 1, select: 1 })
  shard.online(1)
  await shard.opened(descriptor)
  const { token } = await shard.header(descriptor, 1, update)
  await declare(shard, 1, token, '<script>')
  const [row] = await participants(shard)
  assert.deepEqual(row?.slice(1, 3), ['failed', 'TRAINING_FAILED'])
  assert.match(`${row?.[3]}`, /^Training on the device failed/)
})

test('a declaration by another device, with a token that is none, or of an accepted update changes nothing', async () => {
  await using shard = await TestShard.open()
  const descriptor = sampleDescriptor(shard.clock.now())
  shard.online(1)
  shard.online(2)
  await shard.opened(descriptor)
  const { token } = await shard.header(descriptor, 1, update)
  await declare(shard, 2, token, 'TRAINING_FAILED')
  await declare(shard, 1, 'x.y.z', 'TRAINING_FAILED')
  assert.equal((await shard.push(descriptor, 1, update)).code, VerdictCode.ACCEPTED)
  await declare(shard, 1, token, 'TRAINING_FAILED')
  assert.equal((await shard.push(descriptor, 2, update)).code, VerdictCode.ACCEPTED)
  assert.equal((await shard.summed()).accepted, 2)
})

test('without the lease nothing is taken down, and the device is told to come again', async () => {
  await using shard = await TestShard.open()
  const descriptor = sampleDescriptor(shard.clock.now())
  shard.online(1)
  shard.online(2)
  const attempt = await shard.opened(descriptor)
  const { token } = await shard.header(descriptor, 1, update)
  shard.clock.advance(13_000)
  await assert.rejects(declare(shard, 1, token, 'TRAINING_FAILED'), { code: 'UNAVAILABLE' })
  shard.lease()
  assert.equal(attempt.state.awaits(shard.device(1).device), true)
  await declare(shard, 1, token, 'TRAINING_FAILED')
  assert.equal(attempt.state.awaits(shard.device(1).device), false)
})

test('an evaluator that cannot evaluate is not waited for', async () => {
  await using shard = await TestShard.open()
  const descriptor = sampleEvaluation(sampleDescriptor(shard.clock.now()))
  shard.online(5)
  const evaluation = await shard.openedEvaluation(descriptor, 5)
  const { token = '' } = await evaluationWork(shard.admission.tokens, evaluation, shard.device(5))
  await declare(shard, 5, token, 'MODEL_UNSUPPORTED')
  assert.equal(evaluation.hasFailed(shard.device(5).device), true)
  const event = await until(() => shard.evaluated[0])
  assert.deepEqual([event.evaluators, event.metrics], [0, {}])
})
