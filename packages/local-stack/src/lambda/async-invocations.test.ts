import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { AsyncInvocations } from './async-invocations.ts'
import { testPool, until } from './testing.ts'

const attemptsIn = (file: string) => readFileSync(file, 'utf8').trim().split('\n')

test('an event whose function fails is tried again under the same request id until it succeeds', async () => {
  await using fixture = await testPool()
  const discarded: string[] = []
  await using events = new AsyncInvocations({
    maxEvents: 10,
    retrySeconds: [0.05, 0.1],
    onDiscarded: (_, message) => discarded.push(message),
  })
  const file = join(fixture.folder, 'attempts')
  const id = events.accept(fixture.pool, Buffer.from(JSON.stringify({ op: 'fail-until', attempts: 3, file })))
  await until(() => /Status: error[\s\S]*Status: error[\s\S]*REPORT(?!.*Status)/.test(fixture.log.tail(40)))
  assert.deepEqual(attemptsIn(file), [id, id, id])
  assert.deepEqual(discarded, [])
})

test('an event is discarded after its third failure, and that is told', async () => {
  await using fixture = await testPool()
  const discarded = Promise.withResolvers<string>()
  await using events = new AsyncInvocations({
    maxEvents: 10,
    retrySeconds: [0.05, 0.1],
    onDiscarded: (name, message) => discarded.resolve(`${name}: ${message}`),
  })
  const file = join(fixture.folder, 'attempts')
  const id = events.accept(fixture.pool, Buffer.from(JSON.stringify({ op: 'fail-until', attempts: 99, file })))
  assert.match(await discarded.promise, new RegExp(`^fixture: event ${id} discarded: Error: .*attempt 3`))
  assert.equal(attemptsIn(file).length, 3)
})

test('events beyond the bound are not accepted', async () => {
  await using fixture = await testPool()
  const events = new AsyncInvocations({ maxEvents: 2, retrySeconds: [], onDiscarded: () => undefined })
  const sleep = Buffer.from(JSON.stringify({ op: 'sleep', ms: 100 }))
  assert.ok(events.accept(fixture.pool, sleep))
  assert.ok(events.accept(fixture.pool, sleep))
  assert.equal(events.accept(fixture.pool, sleep), undefined)
  await fixture.pool.drained(10)
  await events[Symbol.asyncDispose]()
})
