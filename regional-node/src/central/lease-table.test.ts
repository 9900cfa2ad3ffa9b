import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LeaseTable } from './lease-table.ts'

const lease = (shard: number, epoch: number) => ({ shard, epoch, leaseSeconds: 20, logKey: '' })

test('a lease of 20 s stops 13 s after its request was sent, not after its answer came', () => {
  let now = 1000
  const leases = new LeaseTable(() => now)
  now = 5000
  leases.renew({ leases: [lease(0, 4)], otherShards: [] }, 1000)
  assert.equal(leases.remainingMillis, 9000)
  now = 13_999
  assert.equal(leases.holds(0, 4), true)
  now = 14_000
  assert.equal(leases.holds(0, 4), false)
  assert.equal(leases.epochOf(0), 4, 'the epoch is remembered: a renewal lets the work go on')
  leases.renew({ leases: [lease(0, 4)], otherShards: [] }, 14_000)
  assert.equal(leases.holds(0, 4), true)
})

test('only the leased epoch of a leased shard is held', () => {
  const leases = new LeaseTable(() => 0)
  leases.renew({ leases: [lease(2, 7)], otherShards: [{ shard: 3, endpoint: 'b:1' }] }, 0)
  assert.deepEqual([leases.holds(2, 7), leases.holds(2, 6), leases.holds(3, 7)], [true, false, false])
  assert.deepEqual([leases.endpointOf(3), leases.endpointOf(4)], ['b:1', ''])
})

test('a shard that is missing in the answer is not leased any more', () => {
  const leases = new LeaseTable(() => 0)
  leases.renew({ leases: [lease(0, 1), lease(1, 1)], otherShards: [] }, 0)
  leases.renew({ leases: [lease(1, 1)], otherShards: [] }, 0)
  assert.deepEqual([leases.epochOf(0), leases.holds(1, 1)], [undefined, true])
  leases.release()
  assert.equal(leases.holds(1, 1), false)
})
