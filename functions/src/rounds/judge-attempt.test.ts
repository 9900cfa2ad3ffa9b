import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeAttempt } from './judge-attempt.ts'

const tally = { missing: 0, accepted: 0, empty: 0, weight: 0n }

test('a quorum with weight can be committed, also with shards missing', () => {
  assert.equal(judgeAttempt({ ...tally, accepted: 2, weight: 20n }, 2), null)
  assert.equal(judgeAttempt({ ...tally, missing: 1, accepted: 2, weight: 20n }, 2), null)
})

test('a round of empty updates is told from one that too few answered', () => {
  assert.equal(judgeAttempt({ ...tally, empty: 3 }, 3)?.code, 'ZERO_TOTAL_WEIGHT')
  assert.equal(judgeAttempt({ ...tally, empty: 2 }, 3)?.code, 'QUORUM_MISSED')
  assert.equal(judgeAttempt(tally, 1)?.code, 'QUORUM_MISSED')
  assert.equal(judgeAttempt({ ...tally, accepted: 1, weight: 9n, empty: 5 }, 2)?.code, 'QUORUM_MISSED')
})
