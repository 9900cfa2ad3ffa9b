import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { DeviceTable } from './device-table.ts'

const id = (number: number) => `01900000-0000-7000-8abc-${number.toString(16).padStart(12, '0')}`

test('a table of devices does what a Map does, in the same order', () => {
  const command = fc.tuple(fc.nat(300), fc.nat(3))
  fc.assert(
    fc.property(fc.array(command, { maxLength: 600 }), commands => {
      const table = new DeviceTable()
      const model = new Map<string, number>()
      for (const [number, value] of commands) {
        table.set(id(number), value)
        // First set is what counts for the order: a Map keeps a key's place as long as it is not deleted.
        if (value !== 0 || model.has(id(number))) model.set(id(number), value)
      }
      const present = [...model].filter(([, value]) => value !== 0).map(([device]) => device)
      assert.deepEqual([...table.devices()], present)
      assert.deepEqual([...table.sorted()], [...present].sort())
      assert.equal(table.size, present.length)
      for (let number = 0; number <= 300; number += 1) {
        assert.equal(table.get(id(number)), model.get(id(number)) ?? 0)
        assert.equal(table.has(id(number)), (model.get(id(number)) ?? 0) !== 0)
      }
    }),
  )
})

test('a table holds offsets as large as a file, and refuses what is no id', () => {
  const table = new DeviceTable()
  table.set(id(1), Number.MAX_SAFE_INTEGER)
  assert.equal(table.get(id(1)), Number.MAX_SAFE_INTEGER)
  assert.throws(() => table.get('device-1'), RangeError)
})

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

test('100 000 devices take less than 64 bytes each', { timeout: 30_000 }, async () => {
  collect()
  const before = process.memoryUsage().arrayBuffers
  const table = new DeviceTable()
  for (let number = 0; number < 100_000; number += 1) table.set(id(number), 1)
  // What tables it outgrew leave behind is swept beside the program: it counts until that is done.
  do {
    collect()
    await setImmediate()
  } while ((process.memoryUsage().arrayBuffers - before) / 100_000 >= 64)
  assert.equal(table.size, 100_000)
})
