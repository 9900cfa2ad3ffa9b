import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CohortSize } from '@tributary/contracts/tasks'
import fc from 'fast-check'
import { planAttempt, type ShardCapacity } from './plan-attempt.ts'

const shard = (region: string, eligible: number, online = eligible): ShardCapacity => ({
  region,
  shard: 0,
  epoch: 1,
  online,
  eligible,
})
const plan = (size: object, ...shards: ShardCapacity[]) => {
  const result = planAttempt(CohortSize.parse(size), shards)
  if (result.kind === 'wait') return result.detail
  return { goal: result.goal, select: result.select, shards: result.shards.map(({ goal, select }) => [goal, select]) }
}

test('everybody is asked where the goal is everybody', () => {
  assert.deepEqual(plan({}, shard('a', 6), shard('b', 4)), {
    goal: 10,
    select: 10,
    shards: [
      [6, 6],
      [4, 4],
    ],
  })
})

test('goal and over-selection are divided by eligible devices', () => {
  // 0.5 · 10 = 5, · 1.3 = 6.5, so 7; 6 : 4 gives 3 and 2, and 4.2 and 2.8.
  assert.deepEqual(plan({ fraction: 0.5 }, shard('a', 6), shard('b', 4)), {
    goal: 5,
    select: 7,
    shards: [
      [3, 4],
      [2, 3],
    ],
  })
})

test('rounding in float64 adds nobody', () => {
  assert.deepEqual(plan({ fraction: 0.1, overSelection: 1 }, shard('a', 30)), { goal: 3, select: 3, shards: [[3, 3]] })
  assert.deepEqual(plan({ goal: 10, overSelection: 1.1 }, shard('a', 30)), { goal: 10, select: 11, shards: [[10, 11]] })
})

test('a goal beyond the eligible devices is all of them, and one below the quorum is the quorum', () => {
  assert.deepEqual(plan({ goal: 50 }, shard('a', 6)), { goal: 6, select: 6, shards: [[6, 6]] })
  assert.deepEqual(plan({ fraction: 0.1, quorum: 4 }, shard('a', 10)), { goal: 4, select: 6, shards: [[4, 6]] })
})

test('a shard without eligible devices plays no part', () => {
  assert.deepEqual(plan({}, shard('a', 0, 3), shard('b', 4)), { goal: 4, select: 4, shards: [[4, 4]] })
})

test('too few devices, online or eligible, and no lease are waits that say why', () => {
  assert.equal(plan({ minimumToStart: 3 }, shard('a', 5, 2)), '2 devices are online, 3 are needed')
  assert.equal(plan({ quorum: 6 }, shard('a', 5, 9)), '5 eligible devices are enrolled, 6 are needed')
  assert.match(plan({}) as string, /no regional node/)
})

test('as many devices are asked as the exact sum has room for, also where a larger total would give a shard less', () => {
  // Hamilton's method: 9 over 3, 5, 10, 1, 2 gives the fourth shard its one device, 11 gives it none.
  const counts = [3, 5, 10, 1, 2]
  const asked = planAttempt(
    CohortSize.parse({ goal: 9, overSelection: 1.2 }),
    counts.map((count, index) => shard(`r${index}`, count)),
  )
  assert.ok(asked.kind === 'open')
  assert.equal(asked.select, 11)
  assert.deepEqual(
    asked.shards.map(({ goal, select }) => [goal, select]),
    // Twelve are left over the goal: 2, 3, 6, 0, 1. Two more go 0.33, 0.5, 1, 0, 0.17.
    [
      [1, 1],
      [2, 3],
      [4, 5],
      [1, 1],
      [1, 1],
    ],
  )
})

test('no plan asks a shard for more than it has, or for fewer than its goal, and both add up', () => {
  const sizes = fc.record({
    goal: fc.option(fc.integer({ min: 1, max: 200 })),
    fraction: fc.double({ min: 0.001, max: 1, noNaN: true }),
    overSelection: fc.double({ min: 1, max: 10, noNaN: true }),
  })
  const counts = fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(sizes, counts, (size, eligible) => {
      const result = planAttempt(
        CohortSize.parse(size),
        eligible.map((count, index) => shard(`r${index}`, count)),
      )
      if (result.kind === 'wait') return eligible.every(count => count === 0)
      const within = result.shards.every(
        ({ region, goal, select }) => goal <= select && select <= (eligible[Number(region.slice(1))] as number),
      )
      const total = (of: 'goal' | 'select') => result.shards.reduce((sum, plan) => sum + plan[of], 0)
      return within && total('goal') === result.goal && total('select') === result.select
    }),
  )
})
