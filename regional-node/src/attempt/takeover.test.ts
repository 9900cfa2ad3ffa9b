import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VerdictCode } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { sampleDescriptor, sampleUpdate } from '../testing/sample-round.ts'
import { TestShard } from '../testing/test-shard.ts'

const { ACCEPTED, WRONG_ATTEMPT } = VerdictCode
const body = sampleUpdate([0.5, -1, 0], [2, 4])

/** Two nodes: the first takes updates in epoch 1 and is lost for good, the second takes the shard over so much later. */
const takenOver = async (opened: AsyncDisposableStack, plan: { goal: number; select: number }, later: number) => {
  const before = opened.use(await TestShard.open())
  const after = opened.use(await TestShard.open())
  const descriptor = sampleDescriptor(before.clock.now(), plan)
  const shards = descriptor.shards.map(shard => ({ ...shard, epoch: 2 }))
  after.clock.advance(later)
  await after.takeLease(2)
  return { before, after, descriptor, again: { ...descriptor, shards } }
}

test('a node that takes the shard over after the selection deadline gets every update again, by the receipts of the node before', async () => {
  await using opened = new AsyncDisposableStack()
  const { before, after, descriptor, again } = await takenOver(opened, { goal: 3, select: 3 }, 40_000)
  for (const number of [1, 2, 3]) before.online(number)
  await before.opened(descriptor)
  const receipts = new Map<number, string>()
  for (const number of [1, 2]) receipts.set(number, (await before.push(descriptor, number, body)).receipt)
  // One that was not selected before is there first; whoever was has left whatever made it eligible.
  after.online(4)
  const attempt = await after.opened(again)
  for (const number of [1, 2]) {
    const device = after.device(number)
    assert.equal(await attempt.offers(device), false, 'without its receipt it is a stranger')
    assert.equal(await attempt.offers(device, [receipts.get(3 - number) as string]), false, "another's receipt")
    assert.equal(await attempt.offers(device, [receipts.get(number) as string]), true)
    assert.equal((await after.push(again, number, body)).code, ACCEPTED)
  }
  assert.equal(after.events.length, 0, 'the fourth may still send')
  assert.equal((await after.push(again, 4, body)).code, ACCEPTED)
  const { accepted, selected, weight, epoch } = await after.summed()
  assert.deepEqual([accepted, selected, weight, epoch], [3, 3, '9', 2])
})

test('whoever was selected before is again, though others have the places now', async () => {
  await using opened = new AsyncDisposableStack()
  const { before, after, descriptor, again } = await takenOver(opened, { goal: 1, select: 1 }, 20_000)
  before.online(1)
  await before.opened(descriptor)
  // Empty: it does not close the shard.
  const { receipt } = await before.push(descriptor, 1, body, { examples: 0n })
  after.online(2)
  const attempt = await after.opened(again)
  assert.equal((await after.push(again, 1, body)).code, WRONG_ATTEMPT)
  assert.equal(await attempt.offers(after.device(1), [receipt]), true)
  assert.equal((await after.push(again, 1, body)).code, ACCEPTED)
  assert.equal((await after.summed()).accepted, 1)
})

test('with nobody there the shard waits a selection time from when it was taken over, and the deadline ends that', async () => {
  await using opened = new AsyncDisposableStack()
  const { after, again } = await takenOver(opened, { goal: 1, select: 1 }, 65_000)
  await after.opened(again)
  after.clock.advance(4999)
  after.online(1)
  const attempt = after.attempts.find(again, 0)
  assert.equal(await attempt?.offers(after.device(1)), true)
  after.clock.advance(1)
  assert.deepEqual([(await after.summed()).accepted, (await after.summed()).selected], [0, 1])
})
