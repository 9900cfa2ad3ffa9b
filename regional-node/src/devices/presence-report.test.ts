import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NodeStatusRequest } from '@tributary/contracts/node-status'
import type { DeviceCondition } from '@tributary/contracts/round'
import type { KnownDevice } from './device-directory.ts'
import { type Capabilities, Presence } from './presence.ts'
import { PresenceReport } from './presence-report.ts'

const Page = NodeStatusRequest.shape.presence.unwrap()
const idOf = (number: number): string => `01900000-0000-7000-8000-${`${number}`.padStart(12, '0')}`

const said = (fields: Partial<Capabilities> = {}): Capabilities => ({
  datasets: new Map([['digits', { examples: 100, heldOut: false }]]),
  frameworks: new Set(['onnx']),
  conditions: new Set<DeviceCondition>(['idle']),
  agentVersion: '0.1.0',
  certificateSha256: 'a'.repeat(64),
  ...fields,
})

/** Devices with odd numbers live in shard 1, the others in shard 0. */
const create = () => {
  const time = { now: 1000 }
  const epochs = new Map([
    [0, 1],
    [1, 1],
  ])
  const revoked = new Set<string>()
  const get = (device: string) =>
    ({ device, shard: Number(device.at(-1)) % 2, revoked: revoked.has(device) }) as unknown as KnownDevice
  const presence = new Presence(
    () => time.now,
    () => true,
    () => {},
  )
  const clock = { now: () => 1_000_000 + time.now, monotonic: () => time.now }
  const report = new PresenceReport(presence, { get }, { epochOf: shard => epochs.get(shard) }, clock)
  const told = () => {
    const page = report.next()
    Page.parse(page)
    report.confirmed()
    return page.map(({ device }) => Number(device.slice(-4)))
  }
  return { time, epochs, revoked, presence, report, told }
}

test('a device is told once, and again when what it says changes', () => {
  const { presence, report, told, time } = create()
  presence.checkedIn(idOf(1), said())
  time.now += 400
  assert.deepEqual(report.next(), [
    {
      device: idOf(1),
      online: true,
      seenAt: new Date(1_001_000).toISOString(),
      agentVersion: '0.1.0',
      frameworks: ['onnx'],
      datasets: [{ name: 'digits', examples: 100, heldOut: false }],
      conditions: ['idle'],
      certificateSha256: 'a'.repeat(64),
    },
  ])
  assert.deepEqual(told(), [1])
  presence.checkedIn(idOf(1), said())
  assert.deepEqual(told(), [])
  presence.checkedIn(idOf(1), said({ conditions: new Set() }))
  assert.deepEqual(told(), [1])
  presence.checkedIn(idOf(1), said({ conditions: new Set(), certificateSha256: 'b'.repeat(64) }))
  assert.deepEqual(told(), [1])
  time.now += 10
  presence.reported(idOf(1), { state: 'offline' })
  assert.deepEqual(report.next()[0]?.online, false)
})

test('a call that was not answered is made good by the next, with what is so by then', () => {
  const { presence, report, told } = create()
  presence.checkedIn(idOf(1), said())
  report.next()
  presence.checkedIn(idOf(2), said())
  assert.deepEqual(told(), [1, 2])
  // What changes while a call is under way is told by the next.
  presence.checkedIn(idOf(1), said({ agentVersion: '0.2.0' }))
  report.next()
  presence.checkedIn(idOf(1), said({ agentVersion: '0.3.0' }))
  report.confirmed()
  assert.deepEqual(report.next()[0]?.agentVersion, '0.3.0')
})

test('only devices of leased shards that are not revoked are told, and another epoch voids what was told', () => {
  const { presence, epochs, revoked, told } = create()
  for (const number of [1, 2, 3]) presence.checkedIn(idOf(number), said())
  epochs.delete(1)
  assert.deepEqual(told(), [2])
  epochs.set(1, 4)
  revoked.add(idOf(3))
  assert.deepEqual(told(), [1])
  epochs.set(0, 2)
  assert.deepEqual(told(), [2])
})

test('pages are bounded, and a device that changes all the time keeps no other out', () => {
  const { presence, report, told } = create()
  for (let number = 1; number <= 450; number += 1) presence.checkedIn(idOf(number), said())
  const seen = new Set<number>()
  for (let call = 0; call < 3; call += 1) {
    // The first two hundred say something else before each call.
    for (let number = 1; number <= 200; number += 1)
      presence.checkedIn(idOf(number), said({ agentVersion: `1.${call}` }))
    const page = told()
    assert.equal(page.length, 200)
    assert.equal(report.hasMore, true)
    for (const number of page) seen.add(number)
  }
  assert.equal(seen.size, 450)
})

test('what a device says beyond what central takes is cut, and large pages are cut by their bytes', () => {
  const { presence, report } = create()
  const datasets = new Map(
    Array.from({ length: 256 }, (_, index) => [`${'d'.repeat(55)}${index}`, { examples: 2 ** 60, heldOut: false }]),
  )
  const frameworks = new Set([...Array.from({ length: 16 }, (_, index) => `framework-${index}`), 'x'.repeat(1000)])
  for (let number = 1; number <= 200; number += 1) {
    presence.checkedIn(idOf(number), said({ datasets, frameworks, agentVersion: 'v'.repeat(5000) }))
  }
  const page = report.next()
  Page.parse(page)
  assert.ok(page.length > 20 && page.length < 200)
  assert.ok(JSON.stringify(page).length <= 256 * 1024 + page.length + 1)
  assert.equal(report.hasMore, true)
})
