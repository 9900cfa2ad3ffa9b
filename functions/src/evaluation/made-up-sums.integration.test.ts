import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EvaluationDescriptor, MetricSums, RoundDescriptor } from '@tributary/contracts/round'
import { exampleSum } from '../testing/example-model.ts'
import { testServices } from '../testing/test-services.ts'
import { mostSums } from './metric-sums.ts'

const services = testServices()
const regions = ['north', 'south', 'west'] as const

test('a node that makes up names takes no room from what all shards find, and the sums stay bounded', async () => {
  const one = { trainers: 1, evaluators: 1 }
  const federation = await services.begin({ north: one, south: one, west: one })
  await federation.comeUp()
  await federation.createTask({ evaluation: { dataset: 'mnist-test' } })
  for (const { data } of await federation.commands('round.opened')) {
    const descriptor = data as unknown as RoundDescriptor
    await federation.deliver(
      await federation.summed(descriptor, { sum: exampleSum([30, 180, -20], 7n), weight: 100, accepted: 1 }),
    )
  }
  await federation.runMerges()
  const { data } = (await federation.commands('evaluation.opened'))[0] as { data: unknown }
  const { evaluation, shards } = data as EvaluationDescriptor
  const found = { examples: '10', correct: '5', loss_q20: String(10 * 2 ** 20) }
  const madeUp = (letter: string): MetricSums =>
    Object.fromEntries(Array.from({ length: mostSums - 3 }, (_, index) => [`a${letter}${index}`, '1']))
  const sums = { north: found, south: { ...found, ...madeUp('a') }, west: { ...found, ...madeUp('b') } }
  for (const region of regions) {
    await federation.deliver(
      federation.event('evaluation.summed', {
        evaluation,
        region,
        shard: 0,
        epoch: shards[0]?.epoch as number,
        node: federation.nodeOf(region).id,
        evaluators: 1,
        metrics: sums[region],
      }),
    )
  }
  const [row] = await services.db.sql<{ state: string; metrics: MetricSums; result: { accuracy: number } }[]>`
    select state, metrics, result from evaluation where id = ${evaluation}`
  const { examples, correct, loss_q20: loss } = row?.metrics ?? {}
  assert.deepEqual([row?.state, examples, correct, loss], ['closed', '30', '15', String(30 * 2 ** 20)])
  assert.equal(row?.result.accuracy, 0.5)
  assert.equal(Object.keys(row?.metrics ?? {}).length, mostSums)
})
