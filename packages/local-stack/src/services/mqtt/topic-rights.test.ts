import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MqttIdentity } from './identity.ts'
import { mayPublish, mayRetain, maySubscribe } from './topic-rights.ts'

const as = (role: MqttIdentity['role'], id = 'a') => ({ id, role, fingerprint: '' })

test('a device publishes only up and only as itself', () => {
  assert.equal(mayPublish(as('device'), 'fl/v1/d/a/up/status'), true)
  const refused = [
    'fl/v1/d/b/up/status',
    'fl/v1/d/a/down/work',
    'fl/v1/d/a/up',
    'fl/v1/d/a/up/x/y',
    'fl/v1/d/a/up/+',
    '$SYS/x',
    'fl/v1/d//up/status',
  ]
  for (const topic of refused) assert.equal(mayPublish(as('device'), topic), false, topic)
})

test('a device hears only its own notices', () => {
  assert.equal(maySubscribe(as('device'), 'fl/v1/d/a/down/+'), true)
  assert.equal(maySubscribe(as('device'), 'fl/v1/d/a/down/work'), true)
  const refused = [
    'fl/v1/d/+/down/+',
    'fl/v1/d/b/down/+',
    '#',
    'fl/v1/d/a/#',
    'fl/v1/d/a/down/#',
    'fl/v1/d/a/up/+',
    'fl/v1/d/+/+/+',
    '$SYS/#',
  ]
  for (const filter of refused) assert.equal(maySubscribe(as('device'), filter), false, filter)
})

test('a regional node hears every device and publishes only notices', () => {
  const node = as('regional-node', 'n')
  assert.equal(maySubscribe(node, 'fl/v1/d/+/up/+'), true)
  assert.equal(maySubscribe(node, 'fl/v1/d/+/down/+'), false)
  assert.equal(maySubscribe(node, '#'), false)
  assert.equal(mayPublish(node, 'fl/v1/d/a/down/work'), true)
  assert.equal(mayPublish(node, 'fl/v1/d/a/up/status'), false)
})

test('a service publishes notices and hears nothing', () => {
  assert.equal(mayPublish(as('service'), 'fl/v1/d/a/down/work'), true)
  assert.equal(maySubscribe(as('service'), 'fl/v1/d/+/up/+'), false)
})

test('only presence is retained', () => {
  assert.equal(mayRetain(as('device'), 'fl/v1/d/a/up/status'), true)
  assert.equal(mayRetain(as('device'), 'fl/v1/d/a/up/other'), false)
  assert.equal(mayRetain(as('service'), 'fl/v1/d/a/down/status'), false)
})
