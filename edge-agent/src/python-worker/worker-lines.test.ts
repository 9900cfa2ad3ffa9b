import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LineReader } from './worker-lines.ts'

const progress = (steps: number) => ({ kind: 'progress', steps, totalSteps: 9, loss: null })
const textOf = (lines: readonly object[]): Buffer =>
  Buffer.from(lines.map(line => `${JSON.stringify(line)}\n`).join(''))

test('lines are found however they are cut', () => {
  const lines = [1, 2, 3, 4].map(progress)
  const text = textOf(lines)
  fc.assert(
    fc.property(fc.array(fc.nat(text.length), { maxLength: 8 }), cuts => {
      const reader = new LineReader()
      const ends = [...cuts.sort((a, b) => a - b), text.length]
      const found = ends.flatMap((end, index) => reader.read(text.subarray(ends[index - 1] ?? 0, end)))
      assert.deepEqual(found, lines)
    }),
  )
})

test('whatever bytes come, there is a line that fits or an error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), bytes => {
      try {
        for (const line of new LineReader().read(Buffer.from(bytes))) assert.equal(typeof line.kind, 'string')
      } catch (error) {
        assert.match((error as Error).message, /^it wrote /)
      }
    }),
  )
})

test('members that no line has are dropped', () => {
  const [line] = new LineReader().read(textOf([{ ...progress(1), path: '/etc/passwd', __proto__: { a: 1 } }]))
  assert.deepEqual(line, progress(1))
})

test('a flood is cut off', () => {
  const reader = new LineReader()
  const chunk = textOf(Array.from({ length: 1000 }, () => progress(1)))
  assert.throws(() => {
    for (let sent = 0; sent < 2 ** 27; sent += chunk.length) reader.read(chunk)
  }, /more than 67108864 bytes/)
})
