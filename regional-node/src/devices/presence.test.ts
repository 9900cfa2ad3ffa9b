import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Capabilities, Presence } from './presence.ts'

const capabilities: Capabilities = {
  datasets: new Map(),
  frameworks: new Set(),
  conditions: new Set(),
  agentVersion: '0.1.0',
  certificateSha256: 'a'.repeat(64),
}
const create = () => {
  const time = { now: 0 }
  const changes: string[] = []
  const presence = new Presence(
    () => time.now,
    device => device !== 'stranger',
    device => changes.push(device),
  )
  return { time, changes, presence }
}

test('a device is online once it checked in, and no longer 30 s after its last word', () => {
  const { time, presence, changes } = create()
  presence.reported('a', { state: 'idle' })
  assert.equal(presence.online('a'), false, 'connected, but what it holds is not known')
  presence.checkedIn('b', capabilities)
  assert.deepEqual([presence.online('b'), changes], [true, ['b']])
  time.now = 30_000
  assert.equal(presence.online('b'), false)
})

test('a last will takes a device away at once, its next check-in brings it back', () => {
  const { time, presence } = create()
  presence.checkedIn('a', capabilities)
  time.now = 10
  presence.reported('a', { state: 'offline' })
  assert.equal(presence.online('a'), false)
  assert.equal(presence.capabilities('a'), undefined)
  time.now = 20
  presence.checkedIn('a', capabilities)
  assert.equal(presence.online('a'), true)
})

test('an MQTT session keeps a device that trains for long', () => {
  const { time, presence, changes } = create()
  presence.checkedIn('a', capabilities)
  presence.reported('a', { state: 'training' })
  time.now = 3_600_000
  assert.equal(presence.online('a'), true)
  presence.review()
  assert.deepEqual(changes, ['a'])
  presence.forgetConnections()
  assert.deepEqual([presence.online('a'), changes], [false, ['a', 'a']])
})

test('a device that goes silent is announced once by a review', () => {
  const { time, presence, changes } = create()
  presence.checkedIn('a', capabilities)
  time.now = 30_000
  presence.review()
  presence.review()
  assert.deepEqual(changes, ['a', 'a'])
  presence.checkedIn('a', capabilities)
  assert.deepEqual(changes, ['a', 'a', 'a'])
})

test('devices that the directory does not know are not entered', () => {
  const { presence, changes } = create()
  presence.reported('stranger', { state: 'idle' })
  assert.deepEqual([presence.online('stranger'), changes], [false, []])
})
