import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sampleDescriptor } from '../../testing/sample-round.ts'
import { closingReason, nextMoment, selectionEnd, selectionIsOver } from './closing-rule.ts'
import { ShardState } from './shard-state.ts'

const opened = Date.parse('2026-01-01T00:00:00Z')
const id = (number: number) => `01900000-0000-7000-8000-00000000000${number}`
const update = { label: 'd', sha256: 'a'.repeat(64), bytes: 1, examples: 1, seconds: 1, metrics: {}, receipt: 'r' }

/** A shard in which so many devices were selected and reported so. */
const shard = (
  plan: { goal: number; select: number },
  selected: number,
  { accepted = 0, empty = 0, invalid = 0 } = {},
) => {
  const descriptor = sampleDescriptor(opened, plan)
  const [only] = descriptor.shards
  const state = new ShardState(descriptor, only as NonNullable<typeof only>)
  const devices = Array.from({ length: selected }, (_, i) => ({ device: id(i), label: `d${i}` }))
  state.apply({ kind: 'selected', devices })
  state.apply({ kind: 'selecting', until: opened + 10_000 })
  let next = 0
  const device = () => id(next++)
  for (let i = 0; i < accepted; i += 1) state.apply({ kind: 'accepted', device: device(), weight: 1, ...update })
  for (let i = 0; i < empty; i += 1) state.apply({ kind: 'accepted', device: device(), weight: 0, ...update })
  const invalidUpdate = { label: 'd', sha256: update.sha256, bytes: 1, code: 'NOT_FINITE', tensor: 'w', detail: '' }
  for (let i = 0; i < invalid; i += 1) state.apply({ kind: 'invalid', device: device(), ...invalidUpdate })
  return state
}

const plan = { goal: 2, select: 3 }
const selecting = 9_999
const collecting = 10_000
const rows: [string, ShardState, number, ReturnType<typeof closingReason>][] = [
  ['one accepted of two wanted', shard(plan, 3, { accepted: 1 }), collecting, null],
  ['the goal', shard(plan, 3, { accepted: 2 }), collecting, 'goal'],
  ['the goal while selection lasts', shard(plan, 2, { accepted: 2 }), selecting, 'goal'],
  ['one selected and accepted while others may come', shard(plan, 1, { accepted: 1 }), selecting, null],
  ['one selected and accepted when nobody came', shard(plan, 1, { accepted: 1 }), collecting, 'goal'],
  ['everybody reported, below the goal', shard(plan, 3, { accepted: 1, empty: 1, invalid: 1 }), selecting, 'everybody'],
  ['all of two invalid while a third may come', shard(plan, 2, { invalid: 2 }), selecting, null],
  ['all of two invalid', shard(plan, 2, { invalid: 2 }), collecting, 'everybody'],
  ['nobody while selection lasts', shard(plan, 0), selecting, null],
  ['nobody at all', shard(plan, 0), collecting, 'goal'],
  ['a shard without a part', shard({ goal: 0, select: 0 }, 0), 0, 'goal'],
  ['just before the deadline', shard(plan, 3, { accepted: 1 }), 69_999, null],
  ['at the deadline', shard(plan, 3, { accepted: 1 }), 70_000, 'deadline'],
]
for (const [what, state, after, reason] of rows) {
  test(`${what}, ${after} ms after the opening: ${reason ?? 'stays open'}`, () => {
    assert.equal(closingReason(state, opened + after), reason)
  })
}

test('selection ends when enough are selected, or at its deadline', () => {
  assert.equal(selectionIsOver(shard(plan, 2), opened + selecting), false)
  assert.equal(selectionIsOver(shard(plan, 3), opened), true)
  assert.equal(selectionIsOver(shard(plan, 0), opened + collecting), true)
})

test('whoever takes a shard over waits for devices as long as the holder before did, until the deadline', () => {
  const { descriptor, plan: ours } = shard(plan, 0)
  const taken = (after: number) => selectionEnd({ descriptor }, opened + after) - opened
  assert.deepEqual([0, 3000, 15_000, 65_000].map(taken), [10_000, 13_000, 25_000, 70_000])
  const late = new ShardState(descriptor, ours)
  assert.equal(selectionIsOver(late, opened + 69_999), false, 'it has not begun to wait')
  assert.equal(closingReason(late, opened + 69_999), null)
  assert.equal(nextMoment(late, opened + 15_000), 55_000)
  late.apply({ kind: 'selecting', until: opened + 25_000 })
  assert.deepEqual([nextMoment(late, opened + 15_000), closingReason(late, opened + 25_000)], [10_000, 'goal'])
})

test('the clock is looked at when selection ends and at the deadline', () => {
  assert.equal(nextMoment(shard(plan, 0), opened), 10_000)
  assert.equal(nextMoment(shard(plan, 0), opened + 10_000), 60_000)
})
