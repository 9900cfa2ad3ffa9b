import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sampleDescriptor } from '@tributary/regional-node/testing/sample-round'
import { sumOver, versionOf } from './exact-sum.ts'
import { History } from './history.ts'
import { devicesOf, examplesOf } from './scenario.ts'

const part = { region: 'north', shard: 0, epoch: 2 }
const devices = devicesOf('north', 0)
  .map(({ id }) => id)
  .filter(id => examplesOf.get(id) !== 0)

/** A committed round: who had receipts in which epoch, who is in the sum, and of whom the version is made. */
const historyOf = (found: { receipts: readonly string[]; stored: readonly string[]; version: readonly string[] }) => {
  const history = new History()
  for (const device of found.receipts) history.receipt('attempt', part, device)
  history.stored('attempt', part, new Set(found.stored))
  const version = versionOf('start', sumOver(found.version, 1))
  const descriptor = sampleDescriptor(0)
  history.commits.push({ attempt: 'attempt', round: 1, descriptor, base: 'start', version, parts: [part] })
  return history
}

test('a round whose receipts all count is as it should be', () => {
  historyOf({ receipts: devices, stored: devices, version: devices }).check()
})

test('a receipt that the sum hides is a violation of I1', () => {
  const stored = devices.slice(1)
  assert.throws(() => historyOf({ receipts: devices, stored, version: stored }).check(), /I1: .* does not count/)
})

test('a version that is not the sum of its updates is a violation of I4', () => {
  const version = devices.slice(1)
  assert.throws(() => historyOf({ receipts: devices, stored: devices, version }).check(), /I4/)
})

test('a receipt of an epoch that was taken over need not count', () => {
  const history = historyOf({ receipts: devices.slice(1), stored: devices.slice(1), version: devices.slice(1) })
  history.receipt('attempt', { ...part, epoch: 1 }, devices[0] as string)
  history.check()
})

test('what is stored twice in two ways is a violation of I3', () => {
  const history = historyOf({ receipts: devices, stored: devices, version: devices })
  assert.throws(() => history.stored('attempt', part, new Set(devices.slice(1))), /is rewritten/)
})
