import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { inEvaluationShare } from './evaluation-share.ts'

const version = 'ab'.repeat(32)
const labels = Array.from({ length: 10_000 }, (_, index) => `device-${index}`)
const drawn = (share: number, of = version) => labels.filter(label => inEvaluationShare(of, share, label))

test('nobody is drawn at 0, everybody at 1, and about the share in between', () => {
  assert.equal(drawn(0).length, 0)
  assert.equal(drawn(1).length, labels.length)
  // Standard deviation 40.
  assert.ok(Math.abs(drawn(0.2).length - 2000) < 200)
})

test('the draw is the first 48 bits of SHA-256 over compact JSON', () => {
  for (const label of labels.slice(0, 50)) {
    const text = JSON.stringify(['tributary.seed/1', 'evaluation-share', version, label])
    const number = Number.parseInt(createHash('sha256').update(text).digest('hex').slice(0, 12), 16) / 2 ** 48
    assert.equal(inEvaluationShare(version, number, label), false)
    assert.equal(inEvaluationShare(version, number + 2 ** -48, label), true)
  }
})

test('a larger share only adds devices, and another version draws others', () => {
  const some = new Set(drawn(0.1))
  assert.ok([...some].every(label => inEvaluationShare(version, 0.3, label)))
  const others = drawn(0.1, 'cd'.repeat(32)).filter(label => some.has(label))
  // Of 1000 about 100 by chance.
  assert.ok(others.length < 200)
})
