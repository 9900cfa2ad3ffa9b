import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memoryTrend, type Sample } from './memory-trend.ts'

const samples = (bytes: (rounds: number) => number): Sample[] =>
  Array.from({ length: 201 }, (_, rounds) => ({ rounds, bytes: bytes(rounds) }))

test('what grows by the same each round has that slope, whatever the first half did', () => {
  const trend = memoryTrend(samples(rounds => (rounds < 100 ? 5000 * rounds : 1000 + 3 * rounds)))
  assert.ok(trend !== null)
  assert.ok(Math.abs(trend.slope - 3) < 1e-9)
  assert.ok(trend.slopeError < 1e-9)
  assert.ok(Math.abs(trend.growth - 300) < 1e-6)
  // The mean of 1000 + 3 r for r from 100 to 200.
  assert.ok(Math.abs(trend.level - 1450) < 1e-6)
})

test('garbage that comes and goes is no growth', () => {
  // Falls back to 1000 every five rounds.
  const trend = memoryTrend(samples(rounds => 1000 + 700 * (rounds % 5)))
  assert.equal(trend?.slope, 0)
  assert.equal(trend?.growth, 0)
})

test('how far samples lie off the line is told with the slope', () => {
  // Four lowest samples at rounds 3 to 6, the first half does not count: 0 2 0 2 has mean 1 and slope 0.4, Σ x² = 5.
  const points = [0, 2, 0, 2].map((bytes, i) => ({ rounds: 3 + i, bytes }))
  const trend = memoryTrend([{ rounds: 0, bytes: 99 }, { rounds: 1, bytes: 99 }, ...points])
  assert.ok(trend !== null)
  assert.ok(Math.abs(trend.slope - 0.4) < 1e-12)
  // Residuals −0.4, 1.2, −1.2, 0.4: √(3.2 / 2 / 5).
  assert.ok(Math.abs(trend.slopeError - Math.sqrt(0.32)) < 1e-12)
})

test('two samples make no trend', () => {
  assert.equal(memoryTrend([]), null)
  assert.equal(
    memoryTrend([
      { rounds: 1, bytes: 1 },
      { rounds: 2, bytes: 2 },
    ]),
    null,
  )
})
