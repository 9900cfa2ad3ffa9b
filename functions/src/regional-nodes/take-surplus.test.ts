import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { assignLeases, type ShardLease } from './assign-leases.ts'
import { takeSurplus } from './take-surplus.ts'

const held = (shard: number, node: string, live = true): ShardLease => ({ shard, node, epoch: 1, live })
const heldBy = (...nodes: string[]) => nodes.map((node, shard) => held(shard, node))
const taken = (shards: ShardLease[], liveNodes: number, own = 0, busy: number[] = [], draining = false) =>
  takeSurplus(shards, { node: 'me', draining, listed: new Map(), liveNodes }, own, shard => busy.includes(shard)).map(
    ({ shard, kind }) => `${kind} ${shard}`,
  )

test('what another holds beyond its fair share is taken, up to the own', () => {
  assert.deepEqual(taken(heldBy('a', 'a', 'a', 'a'), 2), ['take 0', 'take 1'])
  assert.deepEqual(taken(heldBy('a', 'a', 'a'), 2), ['take 0'])
  assert.deepEqual(taken(heldBy('a', 'a', 'a', 'a', 'me', 'me'), 2, 2), ['take 0'])
  assert.deepEqual(taken(heldBy('a', 'a', 'a', 'b', 'b', 'b'), 3), ['take 0', 'take 3'])
})

test('nothing is taken from whom holds no more than its share, is not live, or by whom has enough or drains', () => {
  assert.deepEqual(taken(heldBy('a'), 2), [])
  assert.deepEqual(taken(heldBy('a', 'a', 'b', 'b'), 3), [])
  assert.deepEqual(taken([held(0, 'a', false), held(1, 'a', false)], 2), [])
  assert.deepEqual(taken(heldBy('a', 'a', 'a', 'a', 'me', 'me', 'me'), 2, 4), [])
  assert.deepEqual(taken(heldBy('a', 'a'), 2, 0, [], true), [])
})

test('busy shards stay, idle ones go in their place', () => {
  assert.deepEqual(taken(heldBy('a', 'a', 'a', 'a'), 2, 0, [0, 2]), ['take 1', 'take 3'])
  assert.deepEqual(taken(heldBy('a', 'a', 'a', 'a'), 2, 0, [0, 1, 2]), ['take 3'])
  assert.deepEqual(taken(heldBy('a', 'a', 'a', 'a'), 2, 0, [0, 1, 2, 3]), [])
})

test('nodes that join one after another end with no more than a fair share each, and then nothing moves', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 7 }), (shardCount, nodeCount) => {
      const shards: ShardLease[] = Array.from({ length: shardCount }, (_, shard) => ({
        shard,
        node: null,
        epoch: 0,
        live: false,
      }))
      let moved = 0
      const call = (node: string, liveNodes: number) => {
        const listed = new Map(shards.filter(shard => shard.node === node).map(({ shard, epoch }) => [shard, epoch]))
        const request = { node, draining: false, listed, liveNodes }
        const own = assignLeases(shards, request)
        const changes = [...own, ...takeSurplus(shards, request, own.length, () => false)]
        for (const { shard, kind } of changes) {
          if (kind === 'take') moved += 1
          shards[shard] = { ...held(shard, node), epoch: (shards[shard]?.epoch ?? 0) + (kind === 'take' ? 1 : 0) }
        }
      }
      for (let live = 1; live <= nodeCount; live += 1) {
        for (let index = 0; index < live; index += 1) call(`node-${index}`, live)
      }
      for (let index = 0; index < nodeCount; index += 1) call(`node-${index}`, nodeCount)
      const most = Math.ceil(shardCount / nodeCount)
      const counts = [...Map.groupBy(shards, ({ node }) => node).values()].map(({ length }) => length)
      moved = 0
      for (let index = 0; index < nodeCount; index += 1) call(`node-${index}`, nodeCount)
      return counts.every(count => count <= most) && moved === 0
    }),
  )
})
