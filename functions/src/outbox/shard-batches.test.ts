import assert from 'node:assert/strict'
import { test } from 'node:test'
import { amqpLimits } from '@tributary/contracts/amqp'
import { regionCommands } from '@tributary/contracts/commands'
import { makeMessage } from '@tributary/contracts/envelope'
import type { RoundDescriptor } from '@tributary/contracts/round'
import { shardBatches } from './shard-batches.ts'

const id = '01890a5d-ac96-774b-bcce-b302099a8057'
const longest = 'r'.repeat(63)
const object = { objectKey: 'k'.repeat(512), sha256: '0'.repeat(64), bytes: Number.MAX_SAFE_INTEGER }
const plan = (region: string, shard: number) => ({
  region,
  shard,
  epoch: 2 ** 31,
  goal: 10_000_000,
  select: 10_000_000,
})

/** As long as a descriptor can be. */
const descriptor: Omit<RoundDescriptor, 'shards'> = {
  task: id,
  round: 100_000,
  attempt: 100,
  taskName: '\u{1F600}'.repeat(100),
  openedAt: '2026-01-01T00:00:00.000Z',
  selectionDeadline: '2026-01-01T00:00:00.000Z',
  deadline: '2026-01-01T00:00:00.000Z',
  base: { ...object, version: id, number: 2 ** 31 },
  manifest: object,
  graph: object,
  trainer: {
    framework: 'pytorch',
    trainer: longest,
    localEpochs: 1000,
    batchSize: 65_536,
    learningRate: 0.1234567890123456,
    optimizer: 'sgd',
    loss: 'softmax-cross-entropy',
  },
  cohort: { dataset: longest, groups: Array.from({ length: 64 }, () => longest), minimumExamples: 2 ** 52 },
  sum: {
    weighting: 'examples',
    weightCap: 2 ** 24,
    maxUpdates: 2 ** 31,
    bound: 2 ** 40,
    bufferBound: 2 ** 40,
    clippingNorm: 0.1234567890123456,
  },
  taskSeed: '0'.repeat(64),
}

test('every shard of every region is in one command, and no command is larger than a node takes', () => {
  const shards = ['a', longest].flatMap(region => Array.from({ length: 4096 }, (_, shard) => plan(region, shard)))
  const batches = [...shardBatches(shards)]
  assert.deepEqual(
    batches.flatMap(([, batch]) => batch),
    shards,
  )
  for (const [region, batch] of batches) {
    assert.ok(batch.every(shard => shard.region === region))
    const data = { ...descriptor, shards: batch }
    const message = makeMessage(regionCommands, 'round.opened', data, { id, source: 'test', time: new Date() })
    const bytes = Buffer.byteLength(JSON.stringify(message))
    assert.ok(bytes <= amqpLimits.maxMessageBytes, `${bytes} bytes`)
  }
})

test('a region of few shards gets one command', () => {
  const shards = [plan('a', 0), plan('b', 0), plan('a', 1)]
  assert.deepEqual(
    [...shardBatches(shards)].map(([region, batch]) => [region, batch.map(({ shard }) => shard)]),
    [
      ['a', [0, 1]],
      ['b', [0]],
    ],
  )
})
