import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { StallWatch } from './stall-watch.ts'

const never = new Promise<never>(() => {})

test('a part that comes is given on, and what fails fails as it does', async () => {
  using watch = new StallWatch(30_000, [])
  assert.equal(await watch.within(Promise.resolve(1)), 1)
  await assert.rejects(watch.within(Promise.reject(new Error('reset'))), { message: 'reset' })
  assert.equal(await watch.within(Promise.resolve(2)), 2)
})

test('a part that does not come in time is refused; the time between parts does not count', async () => {
  using watch = new StallWatch(20, [])
  // Twice as long as a part may take.
  await sleep(40)
  assert.equal(await watch.within(Promise.resolve(1)), 1)
  await sleep(40)
  await assert.rejects(watch.within(never), { code: 'UNAVAILABLE' })
})

test('small parts that are waited for too long together are refused, large ones are not', async context => {
  let now = 0
  context.mock.method(performance, 'now', () => now)
  using watch = new StallWatch(30_000, [])
  const come = async (bytes: number) => {
    const part = watch.within(Promise.resolve(bytes))
    now += 12_000
    watch.came(await part)
    // Between parts the disk may take its time.
    now += 60_000
  }
  for (let part = 0; part < 6; part += 1) await come(32 * 1024)
  for (let part = 0; part < 6; part += 1) await come(16 * 1024)
  await come(1)
  await come(1)
  await assert.rejects(come(1), { code: 'UNAVAILABLE', detail: '3 bytes came in 30000 ms. Resume.' })
})

test('nothing is waited for once any signal has aborted', async () => {
  const controllers = [new AbortController(), new AbortController()] as const
  using watch = new StallWatch(
    30_000,
    controllers.map(({ signal }) => signal),
  )
  const waiting = assert.rejects(watch.within(never), { message: 'a newer upload' })
  controllers[1].abort(new Error('a newer upload'))
  await waiting
  await assert.rejects(watch.within(never), { message: 'a newer upload' })
})
