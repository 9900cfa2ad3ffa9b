import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../../testing/federation.ts'
import { readConditions } from './device-conditions.ts'

type Supplies = Record<string, Record<string, string>>

/** What holds on a machine with these supplies, an idle processor and a free network. */
const conditionsWith = async (supplies: Supplies) => {
  await using folder = await temporaryFolder()
  for (const [name, files] of Object.entries(supplies)) {
    await mkdir(join(folder.path, name))
    for (const [file, text] of Object.entries(files)) await writeFile(join(folder.path, name, file), `${text}\n`)
  }
  return await readConditions({ metered: false, powerSupplies: folder.path, load: () => 0.1, processors: 4 })
}
const isCharging = async (supplies: Supplies) => (await conditionsWith(supplies)).includes('charging')
const battery = (status: string) => ({ type: 'Battery', status, capacity: '50' })

test('a machine is idle while less than half of its processors are busy, and never where nobody counts', async () => {
  const idle = async (load: number | undefined, processors: number) =>
    (await readConditions({ metered: false, powerSupplies: '/nowhere', load: () => load, processors })).includes('idle')
  assert.equal(await idle(0.5, 4), true)
  assert.equal(await idle(1.99, 4), true)
  assert.equal(await idle(2, 4), false)
  assert.equal(await idle(0.6, 1), false)
  assert.equal(await idle(0, 4), true)
  assert.equal(await idle(undefined, 4), false)
})

test('the network is unmetered unless the owner says that it is', async () => {
  const read = (metered: boolean) =>
    readConditions({ metered, powerSupplies: '/nowhere', load: () => 9, processors: 1 })
  assert.deepEqual(await read(false), ['unmetered'])
  assert.deepEqual(await read(true), [])
})

test('mains that is plugged in counts, whatever the battery says', async () => {
  assert.equal(await isCharging({ AC: { type: 'Mains', online: '1' }, BAT0: battery('Not charging') }), true)
  assert.equal(await isCharging({ AC: { type: 'Mains', online: '0' }, BAT0: battery('Discharging') }), false)
  assert.equal(await isCharging({ usb: { type: 'USB', online: '1' }, BAT0: battery('Discharging') }), true)
})

test('a battery alone tells by what it does', async () => {
  assert.equal(await isCharging({ BAT0: battery('Charging') }), true)
  assert.equal(await isCharging({ BAT0: battery('Full') }), true)
  assert.equal(await isCharging({ BAT0: battery('Discharging') }), false)
  assert.equal(await isCharging({ BAT0: battery('Unknown') }), false)
  assert.equal(await isCharging({ BAT0: battery('Full'), BAT1: battery('Discharging') }), false)
})

test('a machine without a battery is on the mains; the battery of a mouse is none of its own', async () => {
  assert.equal(await isCharging({}), true)
  assert.equal(await isCharging({ hid: { ...battery('Discharging'), scope: 'Device' } }), true)
  assert.equal(
    await isCharging({ hid: { ...battery('Charging'), scope: 'Device' }, BAT0: battery('Discharging') }),
    false,
  )
})

test('where the system does not show its supplies, nothing is claimed', async () => {
  const conditions = await readConditions({ metered: true, powerSupplies: '/nowhere', load: () => 9, processors: 1 })
  assert.deepEqual(conditions, [])
})

test('a supply whose files cannot be read is no proof of anything', async () => {
  assert.equal(await isCharging({ odd: {}, BAT0: battery('Discharging') }), false)
})
