import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NodeStatusAnswer, NodeStatusRequest } from '@tributary/contracts/node-status'
import { createLogger } from '../journal/logger.ts'
import { ManualClock, until } from '../testing/manual-clock.ts'
import { StatusLoop } from './status-loop.ts'

const answer = (complete = true): NodeStatusAnswer => ({
  time: '2026-01-01T00:00:00Z',
  region: 'north',
  shardCount: 1,
  leases: [],
  otherShards: [],
  attempts: [],
  evaluations: [],
  settled: [],
  settledEvaluations: [],
  directory: { devices: [], sequence: 0, complete },
})

/** A loop over calls that are answered one by one; `calls` are their beginnings on the manual clock. */
const create = () => {
  const clock = new ManualClock()
  const calls: number[] = []
  const open: PromiseWithResolvers<NodeStatusAnswer>[] = []
  let applied = 0
  const loop: StatusLoop = new StatusLoop(
    {
      request: () => ({}) as NodeStatusRequest,
      send: () => {
        calls.push(clock.monotonic())
        const call = Promise.withResolvers<NodeStatusAnswer>()
        open.push(call)
        return call.promise
      },
      apply: async () => {
        applied += 1
      },
    },
    clock,
    createLogger('silent', 'test'),
  )
  const turn = () => new Promise(resolve => setImmediate(resolve))
  const reply = async (given: NodeStatusAnswer | Error = answer()) => {
    const before = applied + loop.failures
    if (given instanceof Error) open.shift()?.reject(given)
    else open.shift()?.resolve(given)
    await until(() => applied + loop.failures !== before || given instanceof Error)
    await turn()
  }
  return { clock, calls, loop, reply }
}

test('without any event central is called every 4.5 to 5 s', async () => {
  const { clock, calls, loop, reply } = create()
  loop.start()
  clock.advance(0)
  await reply()
  clock.advance(4499)
  assert.equal(calls.length, 1)
  clock.advance(501)
  assert.equal(calls.length, 2)
  await reply()
  loop.stop()
  clock.advance(60_000)
  assert.equal(calls.length, 2)
})

test('an event is told within 50 ms, a burst of them in one call, and no more than four calls a second', async () => {
  const { clock, calls, loop, reply } = create()
  loop.start()
  clock.advance(0)
  await reply()
  clock.advance(1000)
  for (let event = 0; event < 1000; event += 1) loop.soon()
  clock.advance(50)
  assert.equal(calls.length, 2)
  await reply()
  // One event a millisecond for two seconds: none puts the call off.
  const before = calls.length
  let answered = before
  for (let millis = 0; millis < 2000; millis += 1) {
    loop.soon()
    clock.advance(1)
    if (calls.length === answered) continue
    await reply()
    answered += 1
  }
  const burst = calls.length - before
  assert.ok(burst >= 6 && burst <= 8, `${burst} calls in 2 s`)
  loop.stop()
})

test('what happens while a call runs is told by another right after it', async () => {
  const { clock, calls, loop, reply } = create()
  loop.start()
  clock.advance(0)
  loop.soon()
  clock.advance(100)
  assert.equal(calls.length, 1, 'never two calls at a time')
  await reply()
  clock.advance(300)
  assert.equal(calls.length, 2)
  loop.stop()
})

test('while central does not answer, events do not hurry it', async () => {
  const { clock, calls, loop, reply } = create()
  loop.start()
  clock.advance(0)
  await reply(new Error('away'))
  // Pauses drawn from 250..500, then 500..1000 ms.
  loop.soon()
  clock.advance(249)
  assert.equal(calls.length, 1)
  clock.advance(251)
  assert.equal(calls.length, 2)
  await reply(new Error('away'))
  loop.soon()
  clock.advance(499)
  assert.equal(calls.length, 2)
  clock.advance(501)
  assert.equal(calls.length, 3)
  loop.stop()
})

test('the next page of the directory is asked for after a quarter of a second', async () => {
  const { clock, calls, loop, reply } = create()
  loop.start()
  clock.advance(0)
  await reply(answer(false))
  clock.advance(250)
  assert.equal(calls.length, 2)
  loop.stop()
})
