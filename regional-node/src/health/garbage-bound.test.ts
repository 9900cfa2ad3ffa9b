import assert from 'node:assert/strict'
import { constants, PerformanceObserver } from 'node:perf_hooks'
import { test } from 'node:test'
import { boundGarbage, GarbageRule } from './garbage-bound.ts'

test('garbage is collected once memory has grown by more than the bound since its least', () => {
  const rule = new GarbageRule(100)
  assert.equal(rule.isDue(1000, 0), false)
  assert.equal(rule.isDue(1100, 1), false)
  assert.equal(rule.isDue(950, 2), false)
  assert.equal(rule.isDue(1051, 3), true)
})

test('a collection has two seconds before another is asked for', () => {
  const rule = new GarbageRule(100)
  rule.isDue(1000, 0)
  assert.equal(rule.isDue(1200, 10), true)
  assert.equal(rule.isDue(1400, 2009), false)
  assert.equal(rule.isDue(1400, 2010), true)
})

test('what a collection did not free is in use, and does not count as growth again', () => {
  const rule = new GarbageRule(100)
  rule.isDue(1000, 0)
  assert.equal(rule.isDue(1200, 10), true)
  assert.equal(rule.isDue(1300, 5000), false)
  assert.equal(rule.isDue(1301, 6000), true)
})

test('growth that V8 would let stand begins a collection', { timeout: 60_000 }, async () => {
  const collected = Promise.withResolvers<void>()
  const observer = new PerformanceObserver(list => {
    for (const entry of list.getEntries()) {
      const { flags } = (entry as unknown as { readonly detail: { readonly flags: number } }).detail
      if ((flags & constants.NODE_PERFORMANCE_GC_FLAGS_ALL_EXTERNAL_MEMORY) !== 0) collected.resolve()
    }
  })
  observer.observe({ entryTypes: ['gc'] })
  using _ = boundGarbage()
  // Half of what V8 lets come, held and freed by turns: some looks find little, some much.
  let held: ArrayBuffer | undefined
  const turning = setInterval(() => {
    held = held === undefined ? new ArrayBuffer(32 * 1024 * 1024) : void held.transfer(0)
  }, 70)
  await collected.promise
  clearInterval(turning)
  observer.disconnect()
})
