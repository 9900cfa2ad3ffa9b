import assert from 'node:assert/strict'
import { test } from 'node:test'
import { forEachParallel, planFleet } from './fleet.ts'

test('devices are dealt to the regions in turn, under labels that do not depend on the regions', () => {
  const place = (devices: number, regions: number) => planFleet(devices, regions).map(device => Object.values(device))
  assert.deepEqual(place(3, 2), [
    ['device-1', 'region-1', 'trainer'],
    ['device-2', 'region-2', 'trainer'],
    ['device-3', 'region-1', 'trainer'],
    ['evaluator-1', 'region-1', 'evaluator'],
  ])
  const labels = (regions: number) => planFleet(7, regions).map(({ label }) => label)
  assert.deepEqual(labels(5), labels(1))
})

test('an action runs once for each item, eight at a time', async () => {
  const seen: number[] = []
  let running = 0
  let most = 0
  await forEachParallel([...Array(30).keys()], async (item, index) => {
    assert.equal(item, index)
    running += 1
    most = Math.max(most, running)
    await new Promise(setImmediate)
    seen.push(item)
    running -= 1
  })
  assert.equal(seen.length, new Set(seen).size)
  assert.equal(seen.length, 30)
  assert.equal(most, 8)
})

test('after a failure nothing more begins, and what was under way has ended before it is told', async () => {
  const started: number[] = []
  const ended: number[] = []
  const gate = Promise.withResolvers<void>()
  const all = forEachParallel([...Array(30).keys()], async item => {
    started.push(item)
    if (item === 3) throw new Error('three')
    await gate.promise
    ended.push(item)
  })
  let isTold = false
  all.catch(() => {
    isTold = true
  })
  await new Promise(setImmediate)
  assert.equal(isTold, false)
  gate.resolve()
  await assert.rejects(all, /three/)
  assert.deepEqual(started, [0, 1, 2, 3, 4, 5, 6, 7])
  assert.deepEqual(ended, [0, 1, 2, 4, 5, 6, 7])
})
