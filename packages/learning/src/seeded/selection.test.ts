import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { overSelection, selectDevices } from './selection.ts'

const seed = { taskSeed: '2a', round: 1, attempt: 1 }
const labels = Array.from({ length: 10 }, (_, i) => `device-${i}`)
const same = (label: string) => label

test('devices are selected in the order of their hashes', () => {
  // sorted(labels, key=...) with Python's hashlib
  const order = [1, 6, 0, 8, 3, 4, 5, 7, 2, 9].map(i => `device-${i}`)
  assert.deepEqual(selectDevices(labels, 4, seed, same), order.slice(0, 4))
  assert.deepEqual(selectDevices(labels, 99, seed, same), order)
  assert.deepEqual(selectDevices(labels, 0, seed, same), [])
})

test('the selection does not depend on the order of arrival', () => {
  fc.assert(
    fc.property(fc.shuffledSubarray(labels, { minLength: 10 }), fc.nat({ max: 10 }), (arrived, count) => {
      assert.deepEqual(selectDevices(arrived, count, seed, same), selectDevices(labels, count, seed, same))
    }),
  )
})

test('each round and attempt selects anew, over time everybody', () => {
  const counts = new Map(labels.map(label => [label, 0]))
  for (let round = 1; round <= 500; round += 1) {
    for (const label of selectDevices(labels, 3, { ...seed, round }, same))
      counts.set(label, (counts.get(label) ?? 0) + 1)
  }
  // 150 each; the standard deviation is 10.
  for (const count of counts.values()) assert.ok(Math.abs(count - 150) < 50)
  assert.notDeepEqual(selectDevices(labels, 10, { ...seed, attempt: 2 }, same), selectDevices(labels, 10, seed, same))
})

test('over-selection rounds up and stops at what there is', () => {
  assert.equal(overSelection(10, 1.3, 100), 13)
  assert.equal(overSelection(7, 1.3, 100), 10)
  assert.equal(overSelection(10, 1.1, 100), 11)
  assert.equal(overSelection(10, 1, 100), 10)
  assert.equal(overSelection(10, 1.3, 12), 12)
  assert.equal(overSelection(0, 1.3, 12), 0)
})
