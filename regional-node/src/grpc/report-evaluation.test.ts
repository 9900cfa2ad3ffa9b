import assert from 'node:assert/strict'
import { test } from 'node:test'
import { create } from '@bufbuild/protobuf'
import { ReportEvaluationRequestSchema, VerdictCode } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import type { ShardEvaluation } from '../evaluation/shard-evaluation.ts'
import { until } from '../testing/manual-clock.ts'
import { sampleDescriptor, sampleEvaluation } from '../testing/sample-round.ts'
import { TestShard } from '../testing/test-shard.ts'
import { evaluationWork } from './assignments.ts'
import { reportEvaluation } from './report-evaluation.ts'

const { ACCEPTED, ALREADY, INVALID, CONFLICT } = VerdictCode

/** An evaluation that awaits device 5, and its report of so many correct and so much loss. */
const open = async (shard: TestShard) => {
  const descriptor = sampleEvaluation(sampleDescriptor(shard.clock.now()))
  const { evaluation } = descriptor
  shard.online(5)
  const opened = await shard.openedEvaluation(descriptor, 5)
  const { token = '' } = await evaluationWork(shard.admission.tokens, opened, shard.device(5))
  const handle = reportEvaluation({ ...shard.admission, evaluations: shard.evaluations })
  const report = (examples: bigint, correct: bigint, loss: bigint) =>
    send(examples, [
      { name: 'correct', value: correct },
      { name: 'loss_q20', value: loss },
    ])
  const send = async (examples: bigint, metrics: { name: string; value: bigint }[]) => {
    const request = create(ReportEvaluationRequestSchema, { token, evaluation, examples, metrics })
    const { verdict } = await handle(request, shard.device(5))
    return [verdict?.code, verdict?.errorCode]
  }
  return { evaluation, report, send }
}

for (const [what, examples, correct, loss] of [
  ['more correct than examples', 10n, 11n, 0n],
  ['fewer than none correct', 10n, -1n, 0n],
  ['more examples than a device can hold', 2n ** 62n, 0n, 0n],
  ['a mean loss above 2^30', 10n, 5n, 10n * 2n ** 50n + 1n],
  ['a mean loss below -2^30', 10n, 5n, -10n * 2n ** 50n - 1n],
  ['a loss of no examples', 0n, 0n, 1n],
] as const) {
  test(`${what}: refused, and the shard's evaluation goes on without it`, async () => {
    await using shard = await TestShard.open()
    const { report } = await open(shard)
    assert.deepEqual(await report(examples, correct, loss), [INVALID, 'METRICS_INVALID'])
    assert.deepEqual(await report(10n, 5n, 7n), [CONFLICT, ''])
    const event = await until(() => shard.evaluated[0])
    assert.deepEqual([event.evaluators, event.metrics], [0, {}])
  })
}

for (const [what, metrics] of [
  ['more confusions than positions', { positions: 4n, confusion_0_0: 3n, confusion_1_0: 2n }],
  ['a count below none', { positions: 4n, confusion_0_0: 3n, confusion_1_0: -1n }],
  ['more of a class right than there are', { positions: 4n, actual_7: 2n, predicted_7: 1n, agreed_7: 2n }],
  ['more in the first five than there are', { positions: 4n, top5_correct: 5n }],
  ['more positions than examples can have', { positions: 4n * 2n ** 24n + 1n }],
  ['a mean error above all that devices tell apart', { absolute_error_q20_carry: 2n ** 21n }],
  ['more examples with errors than examples', { error_examples: 5n }],
] as const) {
  test(`${what}: refused`, async () => {
    await using shard = await TestShard.open()
    const { send } = await open(shard)
    const sums = Object.entries<bigint>(metrics).map(([name, value]) => ({ name, value }))
    assert.deepEqual(await send(4n, sums), [INVALID, 'METRICS_INVALID'])
  })
}

test('counts of a thousand classes are taken whole, and of names that nobody knows no more than 64', async () => {
  await using shard = await TestShard.open()
  const { send } = await open(shard)
  const many = (kind: string, count: number) =>
    Array.from({ length: count }, (_, index) => ({ name: `${kind}_${index}`, value: 1n }))
  const counts = [...many('actual', 1000), ...many('predicted', 1000), ...many('agreed', 1000)]
  const positions = { name: 'positions', value: 1000n }
  assert.deepEqual(await send(1000n, [positions, ...counts, ...many('own', 64)]), [ACCEPTED, ''])
  const event = await until(() => shard.evaluated[0])
  assert.equal(Object.keys(event.metrics).length, 3066)
  await using other = await TestShard.open()
  const { send: again } = await open(other)
  assert.deepEqual(await again(1000n, many('own', 65)), [INVALID, 'METRICS_INVALID'])
})

test('the bounds themselves are possible', async () => {
  await using shard = await TestShard.open()
  const { report } = await open(shard)
  assert.deepEqual(await report(4n, 4n, 4n * 2n ** 50n), [ACCEPTED, ''])
  const event = await until(() => shard.evaluated[0])
  assert.deepEqual(event.metrics, { correct: '4', examples: '4', loss_q20: `${4n * 2n ** 50n}` })
})

test('a second report at the same time counts once, and is told ALREADY', async () => {
  await using shard = await TestShard.open()
  const { report } = await open(shard)
  const both = await Promise.all([report(10n, 5n, 7n), report(10n, 5n, 7n)])
  // Tokens are verified off the main thread, so either may come first.
  assert.deepEqual(
    both.toSorted(([left], [right]) => Number(left) - Number(right)),
    [
      [ACCEPTED, ''],
      [ALREADY, ''],
    ],
  )
  const event = await until(() => shard.evaluated[0])
  assert.deepEqual([event.evaluators, event.metrics.examples], [1, '10'])
})

test('a report is known to others only once it is durable', async () => {
  await using shard = await TestShard.open()
  const { evaluation } = await open(shard)
  const found = shard.evaluations.find(evaluation, 0) as ShardEvaluation
  const { device } = shard.device(5)
  assert.equal(found.reportOf(device), undefined)
  let isDurable = false
  const taken = found.report(device, { examples: '1' }).then(() => {
    isDurable = true
  })
  await found.reportOf(device)
  // Promises settle, but nothing is written meanwhile.
  for (let turn = 0; turn < 10; turn += 1) await Promise.resolve()
  assert.equal(isDurable, true)
  await taken
})
