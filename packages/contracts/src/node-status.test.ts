import assert from 'node:assert/strict'
import { test } from 'node:test'
import { leaseTimes, NodeLogsRequest, NodeStatusAnswer, NodeStatusRequest } from './node-status.ts'

const id = '01900000-0000-7000-8000-000000000001'
const request = {
  nodeVersion: '0.1.0',
  endpoint: 'localhost:50051',
  boot: id,
  draining: false,
  shards: [{ shard: 0, epoch: 1, devicesOnline: 3, evaluatorsOnline: 0 }],
  progress: [
    { task: id, round: 1, attempt: 1, shard: 0, epoch: 1, state: 'collecting', selected: 3, accepted: 2, refused: 0 },
  ],
  holding: [{ task: id, round: 1, attempt: 1 }],
  holdingEvaluations: [id],
  directorySequence: 0,
  load: { rssBytes: 1, connections: 0 },
}
const answer = {
  time: '2026-01-02T03:04:05Z',
  region: 'north',
  shardCount: 1,
  leases: [{ shard: 0, epoch: 1, leaseSeconds: 20, logKey: '' }],
  otherShards: [],
  attempts: [],
  evaluations: [],
  settled: [{ task: id, round: 1, attempt: 1, outcome: 'committed' }],
  settledEvaluations: [],
  directory: {
    devices: [
      {
        device: id,
        label: 'device-1',
        kind: 'trainer',
        groups: [],
        certificateSha256: 'a'.repeat(64),
        revoked: false,
        sequence: 1,
      },
    ],
    sequence: 1,
    complete: true,
  },
}

test('a status call and its answer read as they were written', () => {
  assert.deepEqual(NodeStatusRequest.parse(JSON.parse(JSON.stringify(request))), request)
  assert.deepEqual(NodeStatusAnswer.parse(JSON.parse(JSON.stringify(answer))), answer)
})

test('every field is needed: a status call says all or nothing', () => {
  for (const field of Object.keys(request)) {
    assert.equal(NodeStatusRequest.safeParse({ ...request, [field]: undefined }).success, false, field)
  }
  for (const field of Object.keys(answer)) {
    assert.equal(NodeStatusAnswer.safeParse({ ...answer, [field]: undefined }).success, false, field)
  }
})

test('lists are bounded, epochs count from 1', () => {
  const shards = (count: number) => Array.from({ length: count }, () => request.shards[0])
  assert.ok(NodeStatusRequest.safeParse({ ...request, shards: shards(4096) }).success)
  assert.equal(NodeStatusRequest.safeParse({ ...request, shards: shards(4097) }).success, false)
  const lease = { ...answer.leases[0], epoch: 0 }
  assert.equal(NodeStatusAnswer.safeParse({ ...answer, leases: [lease] }).success, false)
  const entry = { time: answer.time, level: 'info', message: 'x' }
  const logs = (count: number) => NodeLogsRequest.safeParse({ batch: id, entries: Array(count).fill(entry) }).success
  assert.deepEqual([logs(0), logs(1), logs(500), logs(501)], [false, true, true, false])
})

test('a node misses two renewals before it stops, and stops before central takes the lease away', () => {
  const { renewSeconds, stopSeconds, leaseSeconds } = leaseTimes
  assert.ok(2 * renewSeconds < stopSeconds && stopSeconds + renewSeconds < leaseSeconds)
})
