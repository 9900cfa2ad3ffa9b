import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decide, type Situation, type Work } from './decide.ts'
import { Policy } from './policy.ts'

const task = '0190b5a0-0000-7000-8000-0000000000f1'
const work: Work = {
  kind: 'training',
  task: { id: task, name: 'digits-2026' },
  model: { id: '0190b5a0-0000-7000-8000-0000000000a1', name: 'lenet' },
  dataset: 'mnist',
  framework: 'pytorch',
  trainer: 'my-trainer',
  groups: ['labs', 'north'],
  updateBytes: 1000,
}
/** Wednesday, 12:00 in London and 13:00 in Berlin. */
const situation: Situation = {
  now: new Date('2026-11-25T12:00:00Z'),
  onBattery: false,
  metered: false,
  load: 0.1,
  bytesToday: { down: 500, up: 500 },
}
const at = (time: string): Partial<Situation> => ({ now: new Date(time) })
const evaluation: Partial<Work> = { kind: 'evaluation', groups: undefined, updateBytes: 0 }
const night = { timeZone: 'Europe/Berlin', windows: [{ days: ['wed'], from: '22:00', to: '06:00' }] }

/** Policy, what differs of the work and of the situation, and the rule that refuses. */
const table: [unknown, Partial<Work>, Partial<Situation>, string | undefined][] = [
  [{}, {}, {}, undefined],
  [{ tasks: { deny: ['digits-*'] } }, {}, {}, 'tasks.deny'],
  [{ tasks: { deny: [task] } }, {}, {}, 'tasks.deny'],
  [{ tasks: { allow: ['digits-*'], deny: ['*-2026'] } }, {}, {}, 'tasks.deny'],
  [{ tasks: { allow: ['digits-*'] } }, {}, {}, undefined],
  [{ tasks: { allow: ['letters'] } }, {}, {}, 'tasks.allow'],
  [{ tasks: { allow: [] } }, {}, {}, 'tasks.allow'],
  // A node that does not say the name: an allowance by name does not cover it, one by id does.
  [{ tasks: { allow: ['*'] } }, { task: { id: '', name: '' } }, {}, 'tasks.allow'],
  [{ tasks: { allow: ['digits-*'] } }, { task: { id: task, name: '' } }, {}, 'tasks.allow'],
  [{ tasks: { allow: [task] } }, { task: { id: task, name: '' } }, {}, undefined],
  [{ models: { deny: ['lenet'] } }, {}, {}, 'models.deny'],
  [{ models: { allow: ['resnet*'] } }, {}, {}, 'models.allow'],
  [{ datasets: { deny: ['mnist'] } }, {}, {}, 'datasets.deny'],
  [{ frameworks: { allow: ['onnx'] } }, {}, {}, 'frameworks.allow'],
  [{ trainers: { deny: ['built-in'] } }, {}, {}, undefined],
  [{ trainers: { deny: ['built-in'] } }, { trainer: 'built-in' }, {}, 'trainers.deny'],
  [{ groups: { allow: ['labs'] } }, {}, {}, undefined],
  [{ groups: { allow: ['homes'] } }, {}, {}, 'groups.allow'],
  [{ groups: { deny: ['nor*'] } }, {}, {}, 'groups.deny'],
  // A task that asks for every device names no group.
  [{ groups: { allow: ['labs'] } }, { groups: [] }, {}, 'groups.allow'],
  [{ groups: { allow: ['homes'] } }, evaluation, {}, undefined],
  [{ share: { statistics: false } }, {}, {}, undefined],
  [{ share: { statistics: false } }, { framework: 'statistics' }, {}, 'share.statistics'],
  [{ frameworks: { deny: ['statistics'] } }, { framework: 'statistics' }, {}, 'frameworks.deny'],
  [{ share: { metrics: false } }, {}, {}, undefined],
  [{ share: { metrics: false } }, evaluation, {}, 'share.metrics'],
  [{ hours: night }, {}, {}, 'hours'],
  [{ hours: night }, {}, at('2026-11-25T21:00:00Z'), undefined],
  [{ hours: night }, {}, at('2026-11-25T20:59:59Z'), 'hours'],
  // The night of Wednesday ends on Thursday; that of Tuesday is no night of the policy.
  [{ hours: night }, {}, at('2026-11-26T04:59:00Z'), undefined],
  [{ hours: night }, {}, at('2026-11-26T05:00:00Z'), 'hours'],
  [{ hours: night }, {}, at('2026-11-25T04:00:00Z'), 'hours'],
  [{ onBattery: false }, {}, {}, undefined],
  [{ onBattery: false }, {}, { onBattery: true }, 'onBattery'],
  [{ onBattery: false }, {}, { onBattery: undefined }, 'onBattery'],
  [{ onMeteredNetwork: false }, {}, { metered: true }, 'onMeteredNetwork'],
  [{ mostLoad: 0.5 }, {}, { load: 0.5 }, undefined],
  [{ mostLoad: 0.5 }, {}, { load: 0.6 }, 'mostLoad'],
  [{ mostLoad: 0.5 }, {}, { load: undefined }, 'mostLoad'],
  [{ bytesADay: { down: 501 } }, {}, {}, undefined],
  [{ bytesADay: { down: 500 } }, {}, {}, 'bytesADay.down'],
  [{ bytesADay: { up: 1500 } }, {}, {}, undefined],
  [{ bytesADay: { up: 1499 } }, {}, {}, 'bytesADay.up'],
  [{ tasks: { deny: ['*'] }, hours: night }, {}, {}, 'tasks.deny'],
]

test('each rule refuses by its name, and nothing else does', () => {
  for (const [policy, otherWork, otherSituation, rule] of table) {
    const refusal = decide(Policy.parse(policy), { ...work, ...otherWork }, { ...situation, ...otherSituation })
    assert.equal(refusal?.rule, rule, JSON.stringify([policy, otherWork, otherSituation]))
  }
})

test('hours are those on the clocks of the zone, on days when these are turned too', () => {
  const hours = { timeZone: 'Europe/Berlin', windows: [{ from: '02:00', to: '03:00' }] }
  const rule = (time: string) => decide(Policy.parse({ hours }), work, { ...situation, ...at(time) })?.rule
  // On 2026-03-29 there is no hour from 2 to 3; on 2026-10-25 there are two.
  assert.deepEqual(['2026-03-29T00:59:00Z', '2026-03-29T01:00:00Z'].map(rule), ['hours', 'hours'])
  assert.deepEqual(['2026-10-25T00:30:00Z', '2026-10-25T01:30:00Z'].map(rule), [undefined, undefined])
  assert.equal(rule('2026-10-25T02:00:00Z'), 'hours')
})

test('a window to 24:00 has the last minute of the day, and one of the whole day every minute', () => {
  const rule = (from: string, to: string, time: string) =>
    decide(Policy.parse({ hours: { timeZone: 'UTC', windows: [{ from, to }] } }), work, { ...situation, ...at(time) })
      ?.rule
  assert.equal(rule('22:00', '24:00', '2026-11-25T23:59:59Z'), undefined)
  assert.equal(rule('22:00', '24:00', '2026-11-26T00:00:00Z'), 'hours')
  for (const time of ['2026-11-25T00:00:00Z', '2026-11-25T23:59:00Z']) {
    assert.equal(rule('00:00', '24:00', time), undefined)
    assert.equal(rule('00:00', '00:00', time), undefined)
  }
})
