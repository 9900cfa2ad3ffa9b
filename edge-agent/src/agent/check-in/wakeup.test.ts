import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Wakeup } from './wakeup.ts'

const { signal } = new AbortController()
const long = 60_000

test('a wake ends the pause', async () => {
  const wakeup = new Wakeup()
  const pause = wakeup.pause(long, signal)
  wakeup.wake()
  await pause
})

test('wakes that come while nobody pauses end the next pause, once', async () => {
  const wakeup = new Wakeup()
  wakeup.wake()
  wakeup.wake()
  await wakeup.pause(long, signal)
  const started = performance.now()
  await wakeup.pause(30, signal)
  assert.ok(performance.now() - started >= 25)
})

test('an abort ends the pause', async () => {
  const controller = new AbortController()
  const pause = new Wakeup().pause(long, controller.signal)
  controller.abort()
  await pause
  await new Wakeup().pause(long, controller.signal)
})
