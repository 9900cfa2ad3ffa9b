import assert from 'node:assert/strict'
import { test } from 'node:test'
import { explore, tellExplored } from './explore.ts'
import { faults } from './scenario.ts'
import { World } from './world.ts'

test('in 600 histories of two regions every receipt counts once and every task comes to an end', () => {
  const explored = explore(1, 600)
  assert.equal(explored.failures.length, 0, tellExplored(explored))
  for (const fault of faults) assert.ok((explored.faults.get(fault) ?? 0) >= 20, `${fault} happens`)
  assert.ok(explored.commits > 1000, `${explored.commits} commits`)
  assert.ok(explored.receipts > 5000, `${explored.receipts} receipts`)
  assert.ok(explored.sentAgain > 300, `${explored.sentAgain} updates were taken again in a later epoch`)
  assert.ok(explored.moved > 300, `shards moved in ${explored.moved} histories`)
})

test('a seed is one history: the same versions, attempts and faults each time', () => {
  for (const seed of [7, 8, 9]) assert.deepEqual(new World(seed).run(), new World(seed).run())
})
