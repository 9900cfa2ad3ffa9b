import assert from 'node:assert/strict'
import { test } from 'node:test'
import { storable } from './storable.ts'

test('what Postgres cannot keep is replaced, everything else stays', () => {
  const value = { 'a\0': ['\ud800b', 1, null, true, { c: 'd' }], e: 'ü😀' }
  assert.deepEqual(storable(value), { 'a\ufffd': ['\ufffdb', 1, null, true, { c: 'd' }], e: 'ü😀' })
})
