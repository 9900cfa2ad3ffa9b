import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../testing/manual-clock.ts'
import { sampleDescriptor, sampleEvaluation } from '../testing/sample-round.ts'
import { TestShard } from '../testing/test-shard.ts'

const metrics = { examples: '10', correct: '5', loss_q20: '7' }

const online = (shard: TestShard, number: number, framework = 'onnx') =>
  shard.presence.checkedIn(shard.device(number).device, {
    datasets: new Map([['digits-test', { examples: 50, heldOut: true }]]),
    frameworks: new Set([framework]),
    conditions: new Set(),
    agentVersion: '0.1.0',
    certificateSha256: shard.device(number).certificateSha256,
  })

/** The evaluation with all of devices 1 to 3 and the evaluator, number 5. */
const open = async (shard: TestShard) => {
  for (const number of [1, 2, 3, 5]) online(shard, number)
  const round = sampleDescriptor(shard.clock.now())
  const descriptor = { ...sampleEvaluation(round), dataset: 'digits-test', cohortShare: 1 }
  return shard.openedEvaluation(descriptor, 5)
}

test('what was reported before a restart is in the sum once, and is not asked for again', async () => {
  await using shard = await TestShard.open()
  const before = await open(shard)
  await before.report(shard.device(1).device, metrics)
  await before.report(shard.device(2).device, metrics)
  await before.fail(shard.device(3).device, { code: 'DATASET_UNUSABLE', detail: '' })
  await shard.restart()
  online(shard, 5)
  const { evaluation } = before.descriptor
  const found = await until(() => {
    const again = shard.evaluations.find(evaluation, 0)
    return again?.offers(shard.device(5)) && again
  })
  assert.notEqual(found.reportOf(shard.device(1).device), undefined)
  assert.equal(found.hasFailed(shard.device(3).device), true)
  await found.report(shard.device(5).device, metrics)
  const event = await until(() => shard.evaluated[0])
  assert.deepEqual([event.evaluators, event.metrics], [3, { correct: '15', examples: '30', loss_q20: '21' }])
})

test('a device that has none of the frameworks is not waited for', async () => {
  await using shard = await TestShard.open()
  const evaluation = await open(shard)
  online(shard, 3, 'keras')
  assert.deepEqual(
    [1, 2, 3, 5].map(number => evaluation.offers(shard.device(number))),
    [true, true, false, true],
  )
})

test('a shard that closes while reports are on their way to the log counts each of them', async () => {
  await using shard = await TestShard.open()
  const evaluation = await open(shard)
  const reports = [1, 2, 3, 5].map(number => evaluation.report(shard.device(number).device, metrics))
  evaluation.evaluate()
  await Promise.all(reports)
  const event = await until(() => shard.evaluated[0])
  assert.deepEqual([event.evaluators, event.metrics], [4, { correct: '20', examples: '40', loss_q20: '28' }])
})
