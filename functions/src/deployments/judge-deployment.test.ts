import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeDeployment } from './judge-deployment.ts'

const judge = (
  serving: number,
  unhealthy: number,
  { held = true, minimumServing = 0, share = 0.25, reports = 4 } = {},
) =>
  judgeDeployment({
    serving,
    unhealthy,
    held,
    stage: { minimumServing },
    health: { maximumUnhealthyShare: share, minimumReports: reports },
  })

test('the share of failed devices may be reached, not passed', () => {
  assert.equal(judge(3, 1), 'ready')
  assert.equal(judge(2, 2), 'unhealthy')
  assert.equal(judge(4, 0, { share: 0 }), 'ready')
  assert.equal(judge(99, 1, { share: 0 }), 'unhealthy')
  assert.equal(judge(0, 100, { share: 1 }), 'ready')
})

test('nothing is concluded from fewer devices than the health asks for', () => {
  assert.equal(judge(0, 3), 'ready')
  assert.equal(judge(0, 4), 'unhealthy')
})

test('a stage ends after its time, once enough devices serve', () => {
  assert.equal(judge(10, 0, { held: false }), 'waiting')
  assert.equal(judge(9, 1, { minimumServing: 10 }), 'waiting')
  assert.equal(judge(10, 1, { minimumServing: 10 }), 'ready')
  assert.equal(judge(0, 0), 'ready')
})

test('an unhealthy stage need not be held for its time', () => {
  assert.equal(judge(0, 4, { held: false }), 'unhealthy')
})
