import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UnknownAttempts } from './unknown-attempts.ts'

test('an attempt is given up only when the node has not known it for a while', () => {
  let now = 0
  const unknown = new UnknownAttempts(() => now)
  assert.deepEqual(unknown.given(new Set(['a'])), [])
  now = 4_999
  assert.deepEqual(unknown.given(new Set(['a', 'b'])), [])
  now = 5_000
  assert.deepEqual(unknown.given(new Set(['a', 'b'])), ['a'])
})

test('a node that knows the attempt after all starts the time anew', () => {
  let now = 0
  const unknown = new UnknownAttempts(() => now)
  unknown.given(new Set(['a']))
  now = 4_000
  unknown.given(new Set())
  now = 6_000
  assert.deepEqual(unknown.given(new Set(['a'])), [])
})
