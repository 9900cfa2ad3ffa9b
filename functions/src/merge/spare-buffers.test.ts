import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SpareBuffers } from './spare-buffers.ts'

test('memory that was given back is taken again, for lengths that nearly fill it', () => {
  const buffers = new SpareBuffers()
  const first = buffers.take(1_000_000)
  assert.equal(first.length, 1_000_000)
  const second = buffers.take(1_000_000)
  assert.notEqual(second.buffer, first.buffer)
  buffers.give(first)
  const again = buffers.take(999_000)
  assert.equal(again.length, 999_000)
  assert.equal(again.buffer, first.buffer)
})

test('a short range does not take the memory of a long one, nor a long one that of a short one', () => {
  const buffers = new SpareBuffers()
  const long = buffers.take(4_000_000)
  buffers.give(long)
  const short = buffers.take(1000)
  assert.notEqual(short.buffer, long.buffer)
  buffers.give(short)
  const longer = buffers.take(5_000_000)
  assert.ok(longer.buffer.byteLength >= 5_000_000)
  assert.equal(buffers.take(3_000_000).buffer, long.buffer)
})
