import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../testing/manual-clock.ts'
import { sampleDescriptor, sampleUpdate } from '../testing/sample-round.ts'
import { TestShard } from '../testing/test-shard.ts'
import { ShardOpener } from './open-shard.ts'

const lease = ({ logKey }: TestShard, epoch = 1) => ({ shard: 0, epoch, leaseSeconds: 20, logKey })

test('a lease without a usable key takes nothing and destroys nothing', async () => {
  await using shard = await TestShard.open()
  const descriptor = sampleDescriptor(shard.clock.now(), { goal: 2, select: 2 })
  shard.online(1)
  await shard.opened(descriptor)
  const { logKey } = shard
  shard.logKey = ''
  await shard.restart()
  assert.deepEqual([shard.reopened, shard.folders.keyOf(0)], ['keyless', undefined])
  shard.logKey = logKey
  await shard.restart()
  assert.deepEqual([shard.reopened, shard.attempts.holding.length], ['opened', 1])
})

test('logs that take long to open do not hold up the answer; the shard is not leased before, nor opened twice', async () => {
  await using shard = await TestShard.open()
  const descriptor = sampleDescriptor(shard.clock.now(), { goal: 2, select: 2 })
  shard.online(1)
  await shard.opened(descriptor)
  await shard.push(descriptor, 1, sampleUpdate([1, 2, 3], [4, 5]))
  await shard.crash()
  const { folders, attempts, evaluations, journal, clock } = shard
  const gate = Promise.withResolvers<void>()
  const replay = attempts.replay.bind(attempts)
  let replays = 0
  attempts.replay = async (...which) => {
    replays += 1
    await gate.promise
    return replay(...which)
  }
  let opened = 0
  const shards = new ShardOpener({ folders, attempts, evaluations, journal }, clock, () => {
    opened += 1
  })
  const first = shards.open(lease(shard))
  await new Promise(setImmediate)
  clock.advance(2000)
  assert.equal(await first, 'opening')
  assert.equal(await shards.open(lease(shard)), 'opening')
  assert.equal(folders.keyOf(0), undefined, 'no command is taken for it yet')
  gate.resolve()
  await until(() => opened === 1)
  assert.deepEqual([await shards.open(lease(shard)), replays, attempts.holding.length], ['open', 1, 1])
})
