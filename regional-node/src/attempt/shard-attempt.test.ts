import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VerdictCode } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { Participation } from '@tributary/contracts/participation'
import { decodeSafetensors } from '@tributary/tensors/safetensors/file'
import { until } from '../testing/manual-clock.ts'
import { sampleDescriptor, sampleUpdate } from '../testing/sample-round.ts'
import { TestShard } from '../testing/test-shard.ts'

const { ACCEPTED, ALREADY, LATE, CANCELLED, RETRY_AFTER, WRONG_ATTEMPT, INVALID } = VerdictCode

// e = 25 (see the sample): 0.5 · 3 · 2^25 = 50331648, and so on.
const unit = 2 ** 25
const first = sampleUpdate([0.5, -1, 0], [2, 4])
const second = sampleUpdate([0.25, 1, 1e-9], [0, -4])
const expected = {
  w: [0.5 * 3 + 0.25 * 5, -1 * 3 + 1 * 5, 0].map(value => BigInt(value * unit)),
  b: [2 * 3, 4 * 3 - 4 * 5].map(value => BigInt(value * unit)),
}

const sumOf = (file: Buffer) => {
  const tensors = [...decodeSafetensors(file)].map(([name, { bytes }]): [string, bigint[]] => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return [name, Array.from({ length: bytes.byteLength / 8 }, (_, i) => view.getBigInt64(i * 8, true))]
  })
  return new Map(tensors)
}
const listOf = (file: Buffer | undefined) =>
  `${file}`
    .trimEnd()
    .split('\n')
    .filter(line => line !== '')
    .map(line => Participation.parse(JSON.parse(line)))

test('at the goal the shard stores the exact weighted sum and the participation list, and tells central', async () => {
  await using shard = await TestShard.open()
  const descriptor = sampleDescriptor(shard.clock.now())
  shard.online(1)
  shard.online(2)
  await shard.opened(descriptor)
  await until(() => shard.notices.length === 2)
  // 1e-9 · 5 · 2^25 = 0.17 rounds to 0
  assert.equal((await shard.push(descriptor, 2, second, { examples: 5n })).code, ACCEPTED)
  assert.equal((await shard.push(descriptor, 1, first, { examples: 3n })).code, ACCEPTED)
  const event = await shard.summed()
  assert.deepEqual([event.accepted, event.empty, event.selected, event.weight], [2, 0, 2, '8'])
  assert.deepEqual(event.metrics, { examples: '8', loss_q20: '10' })
  await until(() => shard.statusChanges === 1)
  const key = `sums/${descriptor.task}/1-1/north-0-1`
  assert.equal(event.sum?.objectKey, `${key}.safetensors`)
  const sum = sumOf(shard.store.objects.get(`${key}.safetensors`) as Buffer)
  assert.deepEqual([...sum.keys()], ['sum/w', 'sum/b'])
  assert.deepEqual([sum.get('sum/w'), sum.get('sum/b')], [expected.w, expected.b])
  const list = listOf(shard.store.objects.get(`${key}.participation.jsonl`))
  assert.deepEqual(
    list.map(({ label, verdict, weight }) => [label, verdict, weight]),
    [
      ['device-1', 'accepted', 3],
      ['device-2', 'accepted', 5],
    ],
  )
})

test('a restart in the middle keeps receipts, and the sum has the same bytes whatever the order', async () => {
  const sums: string[] = []
  for (const order of [
    [1, 2],
    [2, 1],
  ]) {
    await using shard = await TestShard.open()
    const descriptor = sampleDescriptor(shard.clock.now())
    shard.online(1)
    shard.online(2)
    await shard.opened(descriptor)
    const bodies = [first, second]
    const examples = [3n, 5n]
    const [one = 0, two = 0] = order
    const before = await shard.push(descriptor, one, bodies[one - 1] as Uint8Array, {
      examples: examples[one - 1] as bigint,
    })
    await shard.restart()
    await until(() => shard.attempts.find(descriptor, 0)?.isCollecting)
    const again = await shard.push(descriptor, one, bodies[one - 1] as Uint8Array, {
      examples: examples[one - 1] as bigint,
    })
    assert.deepEqual([again.code, again.receipt], [ALREADY, before.receipt])
    await shard.push(descriptor, two, bodies[two - 1] as Uint8Array, { examples: examples[two - 1] as bigint })
    const { sum } = await shard.summed()
    sums.push(`${sum?.sha256}`)
    const lost = await shard.summed()
    await shard.restart()
    assert.deepEqual(await shard.summed(), lost, 'the event is published again after a restart')
  }
  assert.equal(sums[0], sums[1])
})

test('the deadline is a timer: the shard closes without a new arrival, with whatever it has', async () => {
  await using shard = await TestShard.open()
  const descriptor = sampleDescriptor(shard.clock.now(), { goal: 3, select: 3 })
  for (const number of [1, 2, 3]) shard.online(number)
  await shard.opened(descriptor)
  await shard.push(descriptor, 2, first)
  // An upload that stops half-way is too late, a device that never sends is a no-show.
  const half = (async function* () {
    yield first.subarray(0, 10)
    throw new Error('connection lost')
  })()
  await assert.rejects(shard.push(descriptor, 3, first, {}, half), /connection lost/)
  shard.clock.advance(69_999)
  shard.lease()
  assert.equal(shard.attempts.progress[0]?.state, 'collecting')
  shard.clock.advance(1)
  const event = await shard.summed()
  assert.deepEqual([event.accepted, event.selected, event.weight], [1, 3, '3'])
  const list = listOf(shard.store.objects.get(event.participation.objectKey))
  assert.deepEqual(
    list.map(({ verdict }) => verdict),
    ['no-show', 'accepted', 'late'],
  )
  assert.equal((await shard.push(descriptor, 3, first)).code, LATE)
})

test('who sends after the close is listed as late until the list is written, not as a no-show', async () => {
  await using shard = await TestShard.open()
  const descriptor = sampleDescriptor(shard.clock.now(), { goal: 1, select: 3 })
  for (const number of [1, 2, 3]) shard.online(number)
  const stored = Promise.withResolvers<void>()
  const write = shard.store.write.bind(shard.store)
  shard.store.write = async (file, object) => {
    if (object.objectKey.endsWith('.safetensors')) await stored.promise
    return write(file, object)
  }
  await shard.opened(descriptor)
  await shard.push(descriptor, 1, first)
  assert.equal((await shard.push(descriptor, 2, second)).code, LATE)
  stored.resolve()
  const event = await shard.summed()
  assert.equal((await shard.push(descriptor, 3, second)).code, LATE)
  const list = listOf(shard.store.objects.get(event.participation.objectKey))
  assert.deepEqual(
    list.map(({ verdict }) => verdict),
    ['accepted', 'late', 'no-show'],
  )
})

test('with nothing accepted the shard says so: no sum, weight 0, and how many had no examples', async () => {
  await using shard = await TestShard.open()
  const descriptor = sampleDescriptor(shard.clock.now())
  shard.online(1)
  shard.online(2)
  await shard.opened(descriptor)
  // Zero examples: listed as empty, not a failure; the other is refused.
  assert.equal((await shard.push(descriptor, 1, first, { examples: 0n })).code, ACCEPTED)
  const refused = await shard.push(descriptor, 2, sampleUpdate([Number.NaN, 0, 0], [0, 0]))
  assert.deepEqual([refused.code, refused.errorCode, refused.tensor], [INVALID, 'NOT_FINITE', 'w'])
  const event = await shard.summed()
  assert.deepEqual([event.sum, event.weight, event.accepted, event.empty], [null, '0', 0, 1])
  const list = listOf(shard.store.objects.get(event.participation.objectKey))
  assert.deepEqual(
    list.map(({ verdict, code }) => [verdict, code]),
    [
      ['empty', undefined],
      ['invalid', 'NOT_FINITE'],
    ],
  )
})

test('fewer devices than planned: newcomers are selected until the selection deadline, then the goal is who came', async () => {
  await using shard = await TestShard.open()
  const descriptor = sampleDescriptor(shard.clock.now(), { goal: 3, select: 3 })
  shard.online(1)
  const attempt = await shard.opened(descriptor)
  assert.equal(await attempt.offers(shard.device(2)), false, 'not online, so not eligible')
  shard.online(2)
  assert.equal(await attempt.offers(shard.device(2)), true)
  await shard.push(descriptor, 1, first)
  await shard.push(descriptor, 2, second)
  assert.equal(shard.attempts.progress[0]?.state, 'selecting', 'a third may still come')
  shard.clock.advance(10_000)
  shard.online(3)
  assert.equal(await attempt.offers(shard.device(3)), false)
  assert.deepEqual([(await shard.summed()).accepted, (await shard.summed()).selected], [2, 2])
})

test('when more devices are there than selected, the others get no work and no say', async () => {
  await using shard = await TestShard.open()
  const descriptor = sampleDescriptor(shard.clock.now(), { goal: 1, select: 1 })
  for (const number of [1, 2, 3, 4]) shard.online(number)
  const attempt = await shard.opened(descriptor)
  assert.equal(attempt.state.selected.size, 1)
  const outsider = [1, 2, 3, 4].find(number => !attempt.state.selected.has(shard.device(number).device)) as number
  assert.equal(await attempt.offers(shard.device(outsider)), false)
  assert.equal((await shard.push(descriptor, outsider, first)).code, WRONG_ATTEMPT)
})

test('without the lease nothing is accepted and nothing closes; the renewed lease lets it go on', async () => {
  await using shard = await TestShard.open()
  const descriptor = sampleDescriptor(shard.clock.now(), { goal: 1, select: 1 })
  shard.online(1)
  await shard.opened(descriptor)
  shard.clock.advance(13_000)
  assert.equal((await shard.push(descriptor, 1, first)).code, RETRY_AFTER)
  shard.clock.advance(100_000)
  assert.deepEqual(shard.events, [])
  shard.lease()
  shard.clock.advance(1000)
  assert.equal((await shard.summed()).accepted, 0)
})

test('the same descriptor any number of times opens one attempt; a settled one stays away', async () => {
  await using shard = await TestShard.open()
  const descriptor = sampleDescriptor(shard.clock.now())
  shard.online(1)
  await Promise.all([1, 2, 3].map(() => shard.attempts.reconcile(descriptor)))
  assert.equal(shard.attempts.holding.length, 1)
  await shard.attempts.cancelTask(descriptor.task)
  const token = await shard.tokenOf(descriptor, 1)
  await shard.attempts.reconcile(descriptor)
  assert.deepEqual(shard.attempts.holding, [])
  const other = sampleDescriptor(shard.clock.now())
  await shard.opened(other)
  assert.equal((await shard.push(other, 1, first, { token })).code, CANCELLED)
})

test('a plan of a newer epoch than the lease asks for central, one of an older is left alone', async () => {
  await using shard = await TestShard.open()
  assert.equal(await shard.attempts.reconcile(sampleDescriptor(shard.clock.now(), { epoch: 2 })), true)
  assert.equal(await shard.attempts.reconcile(sampleDescriptor(shard.clock.now(), { shard: 5 })), true)
  assert.deepEqual(shard.attempts.holding, [])
})
