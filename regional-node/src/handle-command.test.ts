import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EvaluationDescriptor, RoundDescriptor } from '@tributary/contracts/round'
import { CentralLevel } from './central/central-level.ts'
import { RegionDeployments } from './deployments/region-deployments.ts'
import { DeviceDirectory } from './devices/device-directory.ts'
import { handleCommand } from './handle-command.ts'
import { sampleDescriptor, sampleEvaluation } from './testing/sample-round.ts'
import { TestShard } from './testing/test-shard.ts'

const at = (shard: TestShard, millis: number) => new Date(shard.clock.now() + millis).toISOString()

/** Commands to a shard, and how often central was asked. */
const commands = (shard: TestShard, level: CentralLevel) => {
  let asked = 0
  const handle = handleCommand({
    attempts: shard.attempts,
    evaluations: shard.evaluations,
    directory: new DeviceDirectory(() => {}),
    level,
    deployments: new RegionDeployments(),
    askCentral: () => {
      asked += 1
    },
  })
  const origin = { id: '01900000-0000-7000-8000-000000000001', source: 'central' }
  return {
    round: (data: RoundDescriptor, time: string) => handle({ ...origin, type: 'round.opened', time, data }),
    evaluation: (data: EvaluationDescriptor, time: string) =>
      handle({ ...origin, type: 'evaluation.opened', time, data }),
    paused: (task: string) => handle({ ...origin, type: 'task.paused', time: at(shard, 0), data: { task } }),
    asked: () => asked,
  }
}

test('a round that was settled before the restart is not begun again when its command comes once more', async () => {
  await using shard = await TestShard.open()
  const descriptor = sampleDescriptor(shard.clock.now())
  const evaluation = sampleEvaluation(descriptor)
  const opened = at(shard, 0)
  const level = new CentralLevel()
  level.heard({ time: at(shard, -1000), attempts: [], evaluations: [] })
  await commands(shard, level).round(descriptor, opened)
  assert.equal(shard.attempts.holding.length, 1)
  await shard.attempts.settle(descriptor, 'committed')
  await shard.restart()
  // The first answer after the restart names nothing.
  const afterwards = new CentralLevel()
  afterwards.heard({ time: at(shard, 1000), attempts: [], evaluations: [] })
  const again = commands(shard, afterwards)
  await again.round(descriptor, opened)
  await again.evaluation(evaluation, opened)
  assert.deepEqual([shard.attempts.holding, shard.evaluations.holding], [[], []])
  assert.equal(again.asked(), 2, 'central says which it is')
})

test('a round that the answer names is begun by its command, however late, and so is one that is newer', async () => {
  await using shard = await TestShard.open()
  const [named, newer] = [sampleDescriptor(shard.clock.now()), sampleDescriptor(shard.clock.now())]
  const [namedEvaluation, newerEvaluation] = [sampleEvaluation(named), sampleEvaluation(newer)]
  const level = new CentralLevel()
  level.heard({ time: at(shard, 1000), attempts: [named], evaluations: [namedEvaluation] })
  const edge = commands(shard, level)
  await edge.round(named, at(shard, 0))
  await edge.evaluation(namedEvaluation, at(shard, 0))
  await edge.round(newer, at(shard, 1000))
  await edge.evaluation(newerEvaluation, at(shard, 1000))
  assert.deepEqual(
    shard.attempts.holding.map(({ task }) => task),
    [named.task, newer.task],
  )
  assert.deepEqual(shard.evaluations.holding, [namedEvaluation.evaluation, newerEvaluation.evaluation])
  assert.equal(edge.asked(), 0)
})

test('a pause that comes late ends no attempt by itself: central says which are over', async () => {
  await using shard = await TestShard.open()
  const descriptor = sampleDescriptor(shard.clock.now())
  const level = new CentralLevel()
  level.heard({ time: at(shard, -1000), attempts: [], evaluations: [] })
  const edge = commands(shard, level)
  await edge.round(descriptor, at(shard, 0))
  await edge.paused(descriptor.task)
  assert.equal(shard.attempts.holding.length, 1)
  assert.equal(edge.asked(), 1)
})
