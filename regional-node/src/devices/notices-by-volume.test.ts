import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NoticeChannel } from './notice-channel.ts'
import { noticesByVolume } from './notices-by-volume.ts'

const devices = (count: number) => Array.from({ length: count }, (_, i) => `device-${i}`)

const create = (mostPerSecond: number) => {
  const time = { now: 0 }
  const sent: string[] = []
  const way = (name: string): NoticeChannel => ({
    notify: (to, { kind }) => void sent.push(`${name} ${to.length} ${kind}`),
  })
  const channel = noticesByVolume({ few: way('few'), many: way('many') }, mostPerSecond, () => time.now)
  return { time, sent, channel }
}

test('a set as large as allowed goes by the session, a larger one as a whole by the other way', () => {
  const { time, sent, channel } = create(4)
  channel.notify(devices(4), { kind: 'work' })
  time.now = 1000
  channel.notify(devices(5), { kind: 'work' })
  channel.notify([], { kind: 'settled' })
  assert.deepEqual(sent, ['few 4 work', 'many 5 work'])
})

test('small sets within one second share what the session may carry', () => {
  const { time, sent, channel } = create(4)
  channel.notify(devices(2), { kind: 'settled' })
  time.now = 600
  channel.notify(devices(1), { kind: 'settled' })
  time.now = 999
  channel.notify(devices(2), { kind: 'work' })
  channel.notify(devices(1), { kind: 'revoked' })
  time.now = 1000
  channel.notify(devices(3), { kind: 'work' })
  channel.notify(devices(2), { kind: 'work' })
  assert.deepEqual(sent, [
    'few 2 settled',
    'few 1 settled',
    'many 2 work',
    'few 1 revoked',
    'many 3 work',
    'few 2 work',
  ])
})

test('0 sends everything by the other way', () => {
  const { sent, channel } = create(0)
  channel.notify(devices(1), { kind: 'work' })
  assert.deepEqual(sent, ['many 1 work'])
})
