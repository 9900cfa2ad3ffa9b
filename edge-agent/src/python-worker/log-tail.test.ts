import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogTail } from './log-tail.ts'

test('a short log is kept whole, without control characters', () => {
  const log = new LogTail()
  for (const part of ['one\n', '\u001b[31mtwo', '\tthree\u0000\r\n']) log.write(Buffer.from(part))
  assert.equal(log.toString(), 'one\n[31mtwo\tthree')
})

test('of a long log the last whole lines are kept, however it came', () => {
  for (const size of [1, 7, 100_000]) {
    const log = new LogTail()
    const text = Buffer.from(Array.from({ length: 5000 }, (_, line) => `line ${line}\n`).join(''))
    for (let at = 0; at < text.length; at += size) log.write(text.subarray(at, at + size))
    const lines = log.toString().split('\n')
    assert.equal(lines.at(-1), 'line 4999')
    assert.match(lines[0] ?? '', /^line \d{4}$/)
    // 16 KiB of lines of ten bytes.
    assert.equal(lines.length, Math.floor(16_384 / 10))
  }
})
