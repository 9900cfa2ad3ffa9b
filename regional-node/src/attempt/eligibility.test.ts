import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CohortPolicy, DeviceCondition } from '@tributary/contracts/round'
import type { KnownDevice } from '../devices/device-directory.ts'
import type { Capabilities } from '../devices/presence.ts'
import { sampleDescriptor } from '../testing/sample-round.ts'
import { isEligible } from './eligibility.ts'

const known: KnownDevice = {
  device: '01900000-0000-7000-8000-000000000001',
  label: 'device-1',
  kind: 'trainer',
  groups: ['a', 'b'],
  labels: { site: 'north', rack: '7' },
  certificateSha256: 'c'.repeat(64),
  revoked: false,
  shard: 0,
}
const said: Capabilities = {
  datasets: new Map([
    ['digits', { examples: 100, heldOut: false }],
    ['digits-test', { examples: 100, heldOut: true }],
  ]),
  frameworks: new Set(['onnx', 'keras']),
  conditions: new Set<DeviceCondition>(['idle', 'unmetered']),
  agentVersion: '0.1.0',
  certificateSha256: known.certificateSha256,
}
const { trainer } = sampleDescriptor(0)
const cohort: CohortPolicy = { dataset: 'digits', groups: [], minimumExamples: 0 }
const fits = (
  policy: Partial<CohortPolicy>,
  device: Partial<KnownDevice> = {},
  framework: 'onnx' | 'pytorch' = 'onnx',
) => isEligible({ cohort: { ...cohort, ...policy }, trainer: { ...trainer, framework } }, { ...known, ...device }, said)

test('a device that is online fits a policy without wishes; one that said nothing fits none', () => {
  assert.equal(fits({}), true)
  assert.equal(isEligible({ cohort, trainer }, known, undefined), false)
  assert.equal(fits({}, { revoked: true }), false)
  assert.equal(fits({}, { kind: 'evaluator' }), false)
})

test('any of the groups is enough, the labels must all be there with their values', () => {
  assert.equal(fits({ groups: ['x', 'b'] }), true)
  assert.equal(fits({ groups: ['x'] }), false)
  assert.equal(fits({ labels: { site: 'north' } }), true)
  assert.equal(fits({ labels: { site: 'north', rack: '7' } }), true)
  assert.equal(fits({ labels: { site: 'north', rack: '8' } }), false)
  assert.equal(fits({ labels: { row: '1' } }), false)
  assert.equal(fits({ labels: {} }), true)
})

test('a label that is called as what every object has is no label of a device without it', () => {
  assert.equal(fits({ labels: { constructor: 'function Object() { [native code] }' } }), false)
  const { labels: _, ...bare } = known
  assert.equal(isEligible({ cohort: { ...cohort, labels: { site: 'north' } }, trainer }, bare, said), false)
})

test('all conditions must hold now', () => {
  assert.equal(fits({ conditions: ['idle'] }), true)
  assert.equal(fits({ conditions: ['idle', 'unmetered'] }), true)
  assert.equal(fits({ conditions: ['idle', 'charging'] }), false)
})

test('where the task names devices, no other fits', () => {
  assert.equal(fits({ devices: [known.device] }), true)
  assert.equal(fits({ devices: ['01900000-0000-7000-8000-000000000002'] }), false)
})

test('a device of any framework of the task fits', () => {
  const among = (...otherFrameworks: ('onnx' | 'pytorch' | 'sklearn')[]) =>
    isEligible({ cohort, trainer: { ...trainer, framework: 'pytorch', otherFrameworks } }, known, said)
  assert.equal(among('sklearn', 'onnx'), true)
  assert.equal(among('sklearn'), false)
})

test('framework, data set and number of examples are asked of what the device said', () => {
  assert.equal(fits({}, {}, 'pytorch'), false)
  assert.equal(fits({ minimumExamples: 100 }), true)
  assert.equal(fits({ minimumExamples: 101 }), false)
  assert.equal(fits({ dataset: 'letters' }), false)
  assert.equal(fits({ dataset: 'digits-test' }), false)
})
