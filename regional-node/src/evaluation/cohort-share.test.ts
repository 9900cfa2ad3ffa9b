import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EvaluationDescriptor } from '@tributary/contracts/round'
import { inEvaluationShare } from '@tributary/learning/seeded/evaluation-share'
import { until } from '../testing/manual-clock.ts'
import { sampleDescriptor, sampleEvaluation } from '../testing/sample-round.ts'
import { TestShard } from '../testing/test-shard.ts'

const held = { examples: 50, heldOut: true }

/** Devices 1 to 4 are trainers, 5 is an evaluator. */
const begin = (shard: TestShard, cohortShare: number | undefined): EvaluationDescriptor => ({
  ...sampleEvaluation(sampleDescriptor(shard.clock.now())),
  dataset: 'digits-test',
  ...(cohortShare === undefined ? {} : { cohortShare }),
})
const online = (shard: TestShard, number: number, dataset = held) =>
  shard.presence.checkedIn(shard.device(number).device, {
    datasets: new Map([['digits-test', dataset]]),
    frameworks: new Set(['onnx']),
    conditions: new Set(),
    agentVersion: '0.1.0',
    certificateSha256: shard.device(number).certificateSha256,
  })
const metrics = { examples: '10', correct: '5', loss_q20: '7' }

test('trainers that are drawn evaluate beside the evaluators, and the shard waits for them', async () => {
  await using shard = await TestShard.open()
  for (const number of [1, 2, 3, 4, 5]) online(shard, number)
  const descriptor = begin(shard, 0.5)
  const drawn = [1, 2, 3, 4].filter(number =>
    inEvaluationShare(descriptor.weights.sha256, 0.5, shard.device(number).label),
  )
  assert.ok(drawn.length > 0 && drawn.length < 4, 'the sample draws some, not all')
  const evaluation = await shard.openedEvaluation(descriptor, 5)
  const offered = [1, 2, 3, 4, 5].filter(number => evaluation.offers(shard.device(number)))
  assert.deepEqual(offered, [...drawn, 5])
  assert.deepEqual(
    shard.notices.map(({ device }) => device).sort(),
    offered.map(number => shard.device(number).device),
  )
  for (const number of offered) {
    assert.equal(shard.evaluated.length, 0)
    await evaluation.report(shard.device(number).device, metrics)
  }
  const event = await until(() => shard.evaluated[0])
  const count = offered.length
  assert.equal(event.evaluators, count)
  assert.deepEqual(event.metrics, { examples: `${10 * count}`, correct: `${5 * count}`, loss_q20: `${7 * count}` })
})

test('without a share trainers have no part, whatever they hold', async () => {
  await using shard = await TestShard.open()
  for (const number of [1, 5]) online(shard, number)
  for (const share of [undefined, 0]) {
    const evaluation = await shard.openedEvaluation(begin(shard, share), 5)
    assert.equal(evaluation.offers(shard.device(1)), false)
  }
})

test('a trainer evaluates on data that it holds out only', async () => {
  await using shard = await TestShard.open()
  online(shard, 1, { ...held, heldOut: false })
  online(shard, 2)
  const evaluation = await shard.openedEvaluation(begin(shard, 1), 2)
  assert.equal(evaluation.offers(shard.device(1)), false)
  assert.equal(evaluation.offers(shard.device(3)), false, 'not online')
})
