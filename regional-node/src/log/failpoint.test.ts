import assert from 'node:assert/strict'
import { test } from 'node:test'
import { armFailpoint, failpoint, parseFailpoint } from './failpoint.ts'

test('a failpoint is read by name, count and action', () => {
  assert.deepEqual(parseFailpoint('fold.after-sum'), { name: 'fold.after-sum', count: 1, action: 'kill' })
  assert.deepEqual(parseFailpoint('log.before-sync:3:fail'), { name: 'log.before-sync', count: 3, action: 'fail' })
  for (const text of ['', 'fold', 'fold.after-sum:0', 'fold.after-sum:1:explode']) {
    assert.equal(parseFailpoint(text), null, text)
  }
})

test('a failpoint does what it is armed for the n-th time only', () => {
  armFailpoint({ name: 'spool.after-sync', count: 2, action: 'fail' })
  failpoint('spool.after-sync')
  failpoint('log.before-sync')
  assert.throws(() => failpoint('spool.after-sync'), { code: 'EIO' })
  failpoint('spool.after-sync')
})
