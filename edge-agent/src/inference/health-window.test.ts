import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HealthWindow } from './health-window.ts'

const fill = (window: HealthWindow, failures: number, successes: number, now: number): void => {
  for (let index = 0; index < failures; index++) window.add(true, now)
  for (let index = 0; index < successes; index++) window.add(false, now)
}

test('a few failures say nothing, whatever their share', () => {
  const window = new HealthWindow()
  fill(window, 4, 0, 1000)
  assert.equal(window.complaint(1000), undefined)
  window.add(true, 1000)
  assert.match(window.complaint(1000) ?? '', /^5 of 5 requests within a minute/)
})

test('many failures are no complaint while four in five requests are answered', () => {
  const window = new HealthWindow()
  fill(window, 20, 80, 1000)
  assert.equal(window.complaint(1000), undefined)
  window.add(true, 1000)
  assert.match(window.complaint(1000) ?? '', /^21 of 101 /)
})

test('what is older than a minute is forgotten', () => {
  const window = new HealthWindow()
  fill(window, 10, 0, 0)
  assert.ok(window.complaint(59_000))
  assert.equal(window.complaint(60_000), undefined)
  fill(window, 0, 1, 200_000)
  fill(window, 5, 0, 200_000)
  assert.match(window.complaint(200_000) ?? '', /^5 of 6 /)
})
