import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Cooldown } from './cooldown.ts'

test('work that may be tried again is, first at once and then ever more slowly', () => {
  let now = 0
  const cooldown = new Cooldown(() => now)
  const waits: number[] = []
  for (let tries = 0; tries < 10; tries += 1) {
    const triedAt = now
    cooldown.tried('work', true)
    while (!cooldown.allows('work')) now += 1
    waits.push(now - triedAt)
  }
  assert.deepEqual(waits, [0, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000])
})

test('work that is over rests, while other work goes on', () => {
  let now = 0
  const cooldown = new Cooldown(() => now)
  cooldown.tried('work', false)
  assert.deepEqual([cooldown.allows('work'), cooldown.allows('other')], [false, true])
  now = 30_000
  assert.equal(cooldown.allows('work'), true)
})

test('only the newest kinds of work are remembered', () => {
  const cooldown = new Cooldown(() => 0)
  for (let i = 0; i <= 64; i += 1) cooldown.tried(String(i), false)
  assert.deepEqual([cooldown.allows('0'), cooldown.allows('1')], [true, false])
})
