import assert from 'node:assert/strict'
import { test } from 'node:test'
import { functionSpecs } from '@tributary/contracts/functions'
import { pauseSeconds, watchSeconds } from '../sweep/sweep.ts'
import { latenessSeconds, mergeGraceSeconds, mergeSilenceSeconds, shardGraceSeconds } from './settlement-times.ts'

test('an attempt whose merges die settles within 90 s of its deadline by the sweep alone', () => {
  const found = (after: number) => after + mergeSilenceSeconds + latenessSeconds
  const closed = shardGraceSeconds + latenessSeconds
  assert.ok(closed <= mergeGraceSeconds, 'a merge that starts last still counts as started in time')
  assert.ok(found(mergeGraceSeconds) <= 90, 'of the last merge that is started')
})

test('the sweep looks so often that nothing waits longer than its lateness, and ends before the next begins', () => {
  const sweep = functionSpecs.find(({ name }) => name === 'sweep')
  assert.ok(sweep?.trigger.kind === 'schedule')
  const startSeconds = 5
  assert.ok(pauseSeconds + startSeconds <= latenessSeconds)
  assert.ok(sweep.trigger.everySeconds - watchSeconds + startSeconds <= latenessSeconds)
  assert.ok(watchSeconds + startSeconds <= sweep.timeoutSeconds)
  assert.ok(sweep.timeoutSeconds <= sweep.trigger.everySeconds)
})
