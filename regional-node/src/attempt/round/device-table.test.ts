import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { DeviceTable } from './device-table.ts'

const id = (number: number) => `01900000-0000-7000-8abc-${number.toString(16).padStart(12, '0')}`

test('a table of devices does what a Map does, in the same order', async () => {
  const command = fc.tuple(fc.nat(300), fc.nat(3))
  await fc.assert(
    fc.asyncProperty(fc.array(command, { maxLength: 600 }), async commands => {
      const table = new DeviceTable()
      const model = new Map<string, number>()
      for (const [number, value] of commands) {
        table.set(id(number), value)
        // First set is what counts for the order: a Map keeps a key's place as long as it is not deleted.
        if (value !== 0 || model.has(id(number))) model.set(id(number), value)
      }
      const present = [...model].filter(([, value]) => value !== 0).map(([device]) => device)
      assert.deepEqual([...table.devices()], present)
      assert.deepEqual(await Array.fromAsync(table.sorted(setImmediate)), [...present].sort())
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

test('many devices are sorted a run at a time, and others get their turn in between', async () => {
  const table = new DeviceTable()
  const numbers = Array.from({ length: 30_000 }, (_, i) => (i * 7919) % 30_000)
  for (const number of numbers) table.set(id(number), number % 3)
  let turns = 0
  const pause = async (): Promise<void> => {
    turns += 1
    // What comes meanwhile does not show.
    table.set(id(100_000 + turns), 1)
  }
  const expected = numbers.filter(number => number % 3 !== 0).sort((a, b) => a - b)
  assert.deepEqual(await Array.fromAsync(table.sorted(pause)), expected.map(id))
  // 20 000 entries: those of number 0 were never there.
  assert.equal(turns, 3)
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
