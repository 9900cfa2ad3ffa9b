import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { assignLeases, type ShardLease } from './assign-leases.ts'

const free = (shard: number): ShardLease => ({ shard, node: null, epoch: 0, live: false })
const held = (shard: number, node: string, epoch = 1, live = true): ShardLease => ({ shard, node, epoch, live })
const changes = (shards: ShardLease[], listed: [number, number][] = [], liveNodes = 1, draining = false) =>
  assignLeases(shards, { node: 'me', draining, listed: new Map(listed), liveNodes }).map(
    ({ shard, kind }) => `${kind} ${shard}`,
  )

test('free and expired shards are taken, up to a fair share', () => {
  assert.deepEqual(changes([free(0), held(1, 'other', 3, false), free(2)], [], 2), ['take 0', 'take 1'])
  assert.deepEqual(changes([free(0)], [], 5), ['take 0'])
})

test('shards of others are left alone while they are live', () => {
  assert.deepEqual(changes([held(0, 'other'), held(1, 'other')]), [])
})

test('a shard listed with its epoch is renewed, also when it expired; otherwise it begins anew', () => {
  assert.deepEqual(
    changes(
      [held(0, 'me', 4), held(1, 'me', 4, false)],
      [
        [0, 4],
        [1, 4],
      ],
      9,
    ),
    ['renew 0', 'renew 1'],
  )
  assert.deepEqual(changes([held(0, 'me', 4), held(1, 'me', 4, false)], [[0, 3]], 9), ['take 0'])
})

test('a draining node gives back what it holds and takes nothing', () => {
  assert.deepEqual(changes([held(0, 'me'), held(1, 'me', 1, false), free(2)], [[0, 1]], 1, true), ['release 0'])
})

test('nodes that take turns hold every shard once', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 7 }), (shardCount, nodeCount) => {
      const shards = Array.from({ length: shardCount }, (_, shard) => free(shard))
      for (let index = 0; index < nodeCount; index += 1) {
        const node = `node-${index}`
        const request = { node, draining: false, listed: new Map<number, number>(), liveNodes: nodeCount }
        for (const { shard } of assignLeases(shards, request)) shards[shard] = held(shard, node)
      }
      const most = Math.ceil(shardCount / nodeCount)
      const counts = Map.groupBy(shards, ({ node }) => node)
      return shards.every(({ node }) => node !== null) && [...counts.values()].every(({ length }) => length <= most)
    }),
  )
})
