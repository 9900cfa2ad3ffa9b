import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { DeviceNotice, DeviceStatus, deviceTopics, maxNoticeBytes, parseDownTopic, parseUpTopic } from './topics.ts'

const device = '01900000-0000-7000-8000-000000000001'

test('topics are those of the protocol', () => {
  assert.equal(deviceTopics.down(device, 'work'), `fl/v1/d/${device}/down/work`)
  assert.equal(deviceTopics.up(device, 'status'), `fl/v1/d/${device}/up/status`)
  assert.equal(deviceTopics.allDown(device), `fl/v1/d/${device}/down/+`)
  assert.equal(deviceTopics.allUp, 'fl/v1/d/+/up/+')
})

test('what is formatted is read back', () => {
  assert.deepEqual(parseUpTopic(deviceTopics.up(device, 'status')), { device, kind: 'status' })
  for (const kind of ['work', 'settled', 'revoked'] as const) {
    assert.equal(parseDownTopic(deviceTopics.down(device, kind), device), kind)
  }
})

test('any other topic is none, and never throws', () => {
  const hostile = [
    '',
    '/',
    'fl/v1/d',
    `fl/v1/d/${device}`,
    `fl/v1/d/${device}/up`,
    `/fl/v1/d/${device}/up/status`,
    `fl/v1/d/${device}/up/status/x`,
    `fl/v2/d/${device}/up/status`,
    `fl/v1/d/${device}/down/status`,
    `fl/v1/d/${device.replace('0190', '019A')}/up/status`,
    'fl/v1/d/+/up/+',
    'fl/v1/d/../up/status',
    'fl/v1/d/__proto__/up/status',
    `fl/v1/d/${device}\n/up/status`,
  ]
  for (const topic of hostile) assert.equal(parseUpTopic(topic), null, topic)
  for (const topic of ['', `fl/v1/d/${device}/down/`, `fl/v1/d/${device}/down/a/b`, `fl/v1/d/${device}x/down/work`]) {
    assert.equal(parseDownTopic(topic, device), null, topic)
  }
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), topic => {
      assert.equal(parseUpTopic(topic), null)
      assert.equal(parseDownTopic(topic, device), null)
    }),
  )
})

test('topics keep the limits of AWS IoT: 7 slashes, 256 bytes', () => {
  const all = [
    deviceTopics.allUp,
    deviceTopics.allDown(device),
    deviceTopics.up(device, 'status'),
    ...(['work', 'settled', 'revoked'] as const).map(kind => deviceTopics.down(device, kind)),
  ]
  for (const topic of all) {
    assert.ok(topic.split('/').length - 1 <= 7, topic)
    assert.ok(Buffer.byteLength(topic) <= 256, topic)
  }
})

test('the largest notice and the largest status stay below 1 KB', () => {
  const attempt = { task: device, round: Number.MAX_SAFE_INTEGER, attempt: Number.MAX_SAFE_INTEGER }
  const notice = DeviceNotice.parse({ kind: 'settled', attempt })
  const status = DeviceStatus.parse({ state: 'evaluating', attempt, progress: 0.123_456_789_012_345_68 })
  for (const message of [notice, status]) assert.ok(Buffer.byteLength(JSON.stringify(message)) < maxNoticeBytes)
  assert.equal(maxNoticeBytes, 1024)
})

test('a status out of range is refused', () => {
  assert.ok(DeviceStatus.safeParse({ state: 'training', progress: 1 }).success)
  for (const status of [{ state: 'asleep' }, { state: 'idle', progress: 1.01 }, { state: 'idle', attempt: {} }, null]) {
    assert.equal(DeviceStatus.safeParse(status).success, false)
  }
})
