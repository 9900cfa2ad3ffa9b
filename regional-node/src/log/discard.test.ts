import assert from 'node:assert/strict'
import { test } from 'node:test'
import { discard, discardMessage } from './discard.ts'

test('memory that is all of one buffer is freed', () => {
  const output = new Uint8Array(1000)
  discard(output)
  assert.equal(output.byteLength, 0)
  for (const bytes of [40_000, 200_000]) {
    const message = new Uint8Array(new ArrayBuffer(bytes + 5), 5)
    discardMessage(message)
    assert.equal(message.byteLength, 0)
  }
})

test('memory that others may use stays', () => {
  const shared = new ArrayBuffer(300_000)
  const [first, second] = [new Uint8Array(shared, 0, 150_000), new Uint8Array(shared, 150_000)]
  for (const part of [first, second]) {
    discard(part)
    discardMessage(part)
  }
  const small = new Uint8Array(1000)
  discardMessage(small)
  const pooled = Buffer.allocUnsafe(20_000)
  discardMessage(pooled)
  assert.equal(pooled.byteLength, 20_000)
  const threads = new Uint8Array(new SharedArrayBuffer(200_000))
  discardMessage(threads)
  assert.deepEqual(
    [first, second, small, threads].map(({ byteLength }) => byteLength),
    [150_000, 150_000, 1000, 200_000],
  )
})
