import assert from 'node:assert/strict'
import { createCipheriv } from 'node:crypto'
import { test } from 'node:test'
import { BLOCK_BYTES, counterBlock } from './counter-block.ts'

test('a stream that is taken up at any block goes on as the whole one does, carries included', () => {
  const key = Buffer.alloc(32, 7)
  const zeros = Buffer.alloc(300 * BLOCK_BYTES)
  for (const iv of [
    Buffer.alloc(16),
    Buffer.alloc(16, 0xff),
    Buffer.from('00000000000000000000ffffffffff80', 'hex'),
    Buffer.from('7fffffffffffffffffffffffffffff00', 'hex'),
  ]) {
    const whole = createCipheriv('aes-256-ctr', key, iv).update(zeros)
    for (const block of [0, 1, 127, 128, 255, 256, 299]) {
      const rest = createCipheriv('aes-256-ctr', key, counterBlock(iv, block)).update(zeros)
      assert.ok(rest.subarray(0, zeros.byteLength - block * BLOCK_BYTES).equals(whole.subarray(block * BLOCK_BYTES)))
    }
  }
})

test('blocks beyond 32 bits are counted', () => {
  const expected = '00000000000000000000000100000004'
  assert.equal(Buffer.from(counterBlock(Buffer.from([...Buffer.alloc(15), 5]), 2 ** 32 - 1)).toString('hex'), expected)
})
