import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { shardOf, shardOfDigest } from './sharding.ts'

test('a device has the shard that its hash gives as one long number', () => {
  // int(hashlib.sha256(b'device-1').hexdigest(), 16) % n
  const shards = [1, 2, 5, 7, 1000].map(count => shardOf('device-1', count))
  assert.deepEqual(shards, [0, 1, 1, 4, 541])
  assert.equal(shardOfDigest(createHash('sha256').update('device-1').digest(), 1000), 541)
})

test('a region without shards is refused', () => {
  for (const wrong of [0, -1, 1.5, NaN]) assert.throws(() => shardOf('device-1', wrong), RangeError)
})
