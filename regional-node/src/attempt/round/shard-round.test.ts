import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { sampleDescriptor } from '../../testing/sample-round.ts'
import { SimulatedShard, updateOf } from '../../testing/simulated-shard.ts'
import { ShardRound } from './shard-round.ts'

const opened = Date.parse('2026-01-01T00:00:00Z')
const devices = Array.from({ length: 6 }, (_, i) => `01900000-0000-7000-8000-00000000000${i}`)
const [one = '', two = '', three = ''] = devices

const finish = (shard: SimulatedShard) => {
  shard.leased = true
  shard.isDiskFull = false
  for (let i = 0; shard.published.length === 0; i += 1) {
    assert.ok(i < 1000, 'the attempt never ends')
    if (shard.choices > 0) shard.happen(0)
    else shard.tick(5000)
  }
}
const settle = (shard: SimulatedShard) => {
  while (shard.choices > 0) shard.happen(0)
}

/** What a record says, without what it is made of. */
const kinds = (shard: SimulatedShard) => shard.log.map(({ record }) => record.kind)

test('at the goal the last update, the closing, the fold, the result: in this order in the log', () => {
  const shard = new SimulatedShard(sampleDescriptor(opened, { goal: 2, select: 3 }), [one, two, three])
  settle(shard)
  shard.push(one)
  settle(shard)
  assert.deepEqual([...shard.receipts], [one])
  shard.push(two)
  finish(shard)
  const order = ['selected', 'accepted', 'accepted', 'closing', 'folded', 'summed']
  assert.deepEqual(kinds(shard), order)
  assert.deepEqual([...(shard.stored ?? [])].sort(), [one, two])
  assert.deepEqual([shard.bodies.size, shard.published[0]?.accepted], [0, 2])
})

test('the same events at the same moments give the same effects', () => {
  const run = () => {
    const descriptor = { ...sampleDescriptor(opened, { goal: 1, select: 2 }), task: one }
    const machine = new ShardRound(descriptor, descriptor.shards[0] as never, { updates: 1, bytes: 1 })
    const moment = { now: opened, leased: true }
    return [
      machine.step({ kind: 'started' }, moment),
      machine.step({ kind: 'prepared', candidates: devices.map(device => ({ device, label: device })) }, moment),
      machine.step({ kind: 'durable', through: 2 }, moment),
      ...devices.map(device => machine.step({ kind: 'passed', request: 1, update: updateOf(device) }, moment)),
    ]
  }
  const first = run()
  assert.deepEqual(run(), first)
  assert.equal(first.flat().filter(({ kind }) => kind === 'answer').length > 0, true)
})

test('what found no room is undone: the device may send again, and nothing closes on it', () => {
  const shard = new SimulatedShard(sampleDescriptor(opened, { goal: 1, select: 1 }), [one])
  settle(shard)
  shard.isDiskFull = true
  shard.push(one)
  settle(shard)
  assert.deepEqual([shard.machine.state.accepted, shard.machine.state.closing, shard.receipts.size], [0, undefined, 0])
  assert.equal(shard.machine.state.awaits(one), true)
  shard.isDiskFull = false
  shard.push(one)
  settle(shard)
  assert.deepEqual([...shard.receipts], [one])
  finish(shard)
  assert.deepEqual([...(shard.stored ?? [])], [one])
})

test('an update that comes while a fold is written is in the next one', () => {
  const shard = new SimulatedShard(sampleDescriptor(opened, { goal: 4, select: 4 }), devices.slice(0, 4))
  settle(shard)
  shard.push(one)
  shard.push(two)
  settle(shard)
  assert.deepEqual(kinds(shard).slice(-1), ['folded'])
  assert.equal(shard.bodies.size, 0, 'two are folded')
  shard.push(three)
  settle(shard)
  assert.deepEqual([...shard.bodies], [three])
  shard.push(devices[3] as string)
  finish(shard)
  assert.deepEqual([...(shard.stored ?? [])].sort(), devices.slice(0, 4))
})

test('without the lease no receipt goes out and the shard does not close', () => {
  const shard = new SimulatedShard(sampleDescriptor(opened, { goal: 1, select: 1 }), [one])
  settle(shard)
  shard.leased = false
  shard.push(one)
  shard.tick(100_000)
  settle(shard)
  assert.deepEqual([shard.receipts.size, kinds(shard)], [0, ['selected']])
  shard.leased = true
  shard.tick(1000)
  finish(shard)
  assert.deepEqual([...(shard.stored ?? [])], [])
})

test('a shard that is taken over after its selection deadline selects who is there, waits for others, and counts them', () => {
  const shard = new SimulatedShard(sampleDescriptor(opened, { goal: 3, select: 3, epoch: 2 }), [one])
  shard.tick(30_000)
  settle(shard)
  assert.deepEqual([...shard.machine.state.selected.devices()], [one])
  shard.push(one)
  shard.tick(9999)
  settle(shard)
  assert.equal(shard.machine.state.closing, undefined, 'others may come')
  shard.arrive(two)
  settle(shard)
  shard.push(two)
  settle(shard)
  shard.tick(1)
  finish(shard)
  assert.deepEqual([...(shard.stored ?? [])].sort(), [one, two])
  assert.equal(shard.now, opened + 40_000, 'as long as the first holder waited')
})

test('who shows the receipt of an earlier epoch is selected, however many others are, until the shard closes', () => {
  const shard = new SimulatedShard(sampleDescriptor(opened, { goal: 2, select: 2, epoch: 2 }), [one, two])
  shard.tick(50_000)
  settle(shard)
  shard.arrive(three)
  settle(shard)
  assert.equal(shard.machine.state.selected.has(three), false, 'it was never selected')
  shard.arrive(three, true)
  settle(shard)
  shard.push(three)
  shard.push(one)
  shard.push(two)
  settle(shard)
  assert.deepEqual(
    [[...shard.receipts].sort(), shard.machine.state.accepted],
    [[one, three], 2],
    'no more than planned',
  )
  finish(shard)
  assert.deepEqual([...(shard.stored ?? [])].sort(), [one, three])
})

test('a crash before the selection is durable makes it anew, however late', () => {
  const shard = new SimulatedShard(sampleDescriptor(opened, { goal: 3, select: 3 }), [one])
  shard.happen(0)
  shard.crash(0)
  shard.tick(30_000)
  settle(shard)
  assert.deepEqual([kinds(shard), [...shard.machine.state.selected.devices()]], [['selected', 'selecting'], [one]])
})

test('every receipt counts once, whatever happens in whatever order, with crashes, full disks and lost leases', () => {
  const action = fc.tuple(fc.integer({ min: 0, max: 11 }), fc.nat(5), fc.nat(3))
  const plan = fc.record({ goal: fc.integer({ min: 1, max: 5 }), select: fc.integer({ min: 1, max: 6 }) })
  let withReceipts = 0
  fc.assert(
    fc.property(plan, fc.array(action, { minLength: 10, maxLength: 120 }), (plan, actions) => {
      const shard = new SimulatedShard(sampleDescriptor(opened, plan), devices.slice(0, 4))
      const proven = new Set<string>()
      for (const [what, which, detail] of actions) {
        const device = devices[which] as string
        if (what <= 4) {
          if (shard.choices > 0) shard.happen(which % shard.choices)
        } else if (what <= 6) shard.push(device, detail === 0 ? 0 : 1)
        else if (what === 7) {
          shard.arrive(device, detail === 3)
          if (detail === 3) proven.add(device)
        } else if (what === 8) shard.crash(detail)
        else if (what === 9) shard.tick(detail * 700)
        else if (what === 10) {
          shard.isDiskFull = detail === 0
          if (detail === 1) shard.step({ kind: 'short' })
          if (detail === 2) shard.decline(device)
        } else shard.leased = detail > 0
      }
      finish(shard)
      const accepted = shard.log.flatMap(({ record }) =>
        record.kind === 'accepted' && record.weight > 0 ? record.device : [],
      )
      const empty = shard.log.flatMap(({ record }) =>
        record.kind === 'accepted' && record.weight === 0 ? record.device : [],
      )
      assert.deepEqual([...(shard.stored ?? [])].sort(), accepted.sort())
      for (const device of shard.receipts) assert.ok(accepted.includes(device) || empty.includes(device))
      assert.ok(shard.machine.state.selected.size <= plan.select + proven.size)
      assert.ok(accepted.length <= plan.select, 'the sum has room for the plan')
      assert.deepEqual([shard.published[0]?.accepted, shard.published[0]?.empty], [accepted.length, empty.length])
      assert.deepEqual(shard.published[0]?.metrics, accepted.length ? { examples: `${accepted.length}` } : {})
      const closingAt = shard.log.findIndex(({ record }) => record.kind === 'closing')
      assert.ok(shard.log.slice(closingAt).every(({ record }) => !('device' in record)))
      withReceipts += shard.receipts.size > 0 ? 1 : 0
    }),
    { numRuns: 3000 },
  )
  assert.ok(withReceipts > 500, `${withReceipts} of 3000 runs gave a receipt`)
})
