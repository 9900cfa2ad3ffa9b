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
const declare = (shard: TestShard, number: number, token: string, code: string, detail = '', logTail = '') => {
  const services = { ...shard.admission, evaluations: shard.evaluations }
  return takeFailures(services, shard.device(number), [create(FailedWorkSchema, { token, code, detail, logTail })])
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
  await declare(shard, 5, token, 'MODEL_UNSUPPORTED', '', 'Traceback')
  assert.deepEqual(
    toldBy(shard).map(({ device, message }) => [device, message]),
    [[shard.device(5).device, 'Traceback']],
  )
  assert.equal(evaluation.hasFailed(shard.device(5).device), true)
  const event = await until(() => shard.evaluated[0])
  assert.deepEqual([event.evaluators, event.metrics], [0, {}])
})

const toldBy = (shard: TestShard) =>
  shard.journal.take(1000, 2 ** 20).filter(({ fields: { source } = {} }) => source !== undefined)

test("the end of a device's log is told once, as text in parts of whole lines, and of a few devices only", async () => {
  await using shard = await TestShard.open({ trainers: 66 })
  const descriptor = sampleDescriptor(shard.clock.now(), { goal: 66, select: 66 })
  const numbers = Array.from({ length: 66 }, (_, index) => index + 1)
  for (const number of numbers) shard.online(number)
  await shard.opened(descriptor)
  const { token } = await shard.header(descriptor, 1, update)
  const lines = Array.from({ length: 100 }, (_, index) => `line ${index} ${'x'.repeat(90)}`)
  const hostile = `${'y'.repeat(5000)}\u001b[2J\0<script>\n${lines.join('\n')}`
  await declare(shard, 1, token, 'TRAINING_FAILED', 'why', hostile)
  await declare(shard, 1, token, 'TRAINING_FAILED', 'why', hostile)
  const parts = toldBy(shard)
  assert.deepEqual(
    parts.map(({ device, level, fields: { part, parts } = {} }) => [device, level, part, parts]),
    [1, 2, 3].map(part => [shard.device(1).device, 'info', part, 3]),
  )
  assert.deepEqual([parts[0]?.task, parts[0]?.round, parts[0]?.attempt], [descriptor.task, 1, 1])
  const text = parts.map(({ message }) => message).join('\n')
  // 4 096 characters end with the last 40 lines of 98 or so, the first of which is cut.
  assert.deepEqual(text.split('\n').slice(1), lines.slice(-(text.split('\n').length - 1)))
  assert.ok(text.length > 4000 && text.length <= 4096)
  for (const number of numbers.slice(1)) {
    const { token } = await shard.header(descriptor, number, update)
    await declare(shard, number, token, 'TRAINING_FAILED', '', '\u001b[2J\0<script>\ud800')
  }
  const told = toldBy(shard)
  assert.equal(told.length, 63)
  assert.equal(told[0]?.message, '[2J<script>\ufffd')
})
