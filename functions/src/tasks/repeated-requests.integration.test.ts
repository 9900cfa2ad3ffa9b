import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RoundDescriptor } from '@tributary/contracts/round'
import { systemClock } from '../adapters/clock.ts'
import { UpstashCache } from '../adapters/upstash-cache.ts'
import type { Context } from '../context.ts'
import { createLog } from '../log.ts'
import { rateLimiter } from '../rate-limit/rate-limiter.ts'
import { checkInvariants } from '../testing/check-invariants.ts'
import { exampleSum, exampleWeights } from '../testing/example-model.ts'
import type { RoundFederation } from '../testing/round-federation.ts'
import { testApi, tokens } from '../testing/test-api.ts'
import { testServices } from '../testing/test-services.ts'
import { tasksHandlers } from './tasks-handlers.ts'

const services = testServices()
const operator = { token: tokens.operator }
const some = { sum: exampleSum([30, 180, -20], 7n), weight: 100, accepted: 2 }

/** The API as ten instances of the function serve it at the same time. */
const tenTimes = (federation: RoundFederation) => {
  const connections = federation.ownConnections(10)
  const calls = connections.contexts.map(context => testApi('tasks', tasksHandlers(context), context))
  const ask = (...args: Parameters<(typeof calls)[number]>) => Promise.all(calls.map(call => call(...args)))
  return { ask, [Symbol.asyncDispose]: () => connections[Symbol.asyncDispose]() }
}
const audited = async (action: string): Promise<number> =>
  (await services.db.sql`select 1 from audit_entry where action = ${action}`).length

test('ten equal requests at once with one key have one effect and one answer', { timeout: 60_000 }, async () => {
  const federation = await services.begin({ north: { trainers: 2 } })
  await federation.comeUp()
  await using api = tenTimes(federation)
  const only = async (answers: readonly { status: number; body: unknown }[], status: number) => {
    assert.deepEqual(
      answers.map(answer => answer.status),
      Array(10).fill(status),
    )
    for (const { body } of answers) assert.deepEqual(body, answers[0]?.body)
    await checkInvariants(services.db.sql)
    return answers[0]?.body as { id: string; state: string }
  }
  const body = {
    name: 'once',
    model: { model: federation.model },
    cohort: { dataset: 'mnist' },
    rounds: 2,
    attempts: 1,
  }
  const { id } = await only(await api.ask('POST', '/v1/tasks', { ...operator, body, key: 'create-it-once' }), 201)
  assert.equal((await services.db.sql`select 1 from task`).length, 1)
  assert.deepEqual([await audited('task.created'), (await federation.commands('round.opened')).length], [1, 1])

  const path = `/v1/tasks/${id}`
  await only(await api.ask('POST', `${path}/pause`, { ...operator, key: 'pause-it-once' }), 200)
  assert.deepEqual([await audited('task.paused'), (await federation.commands('task.paused')).length], [1, 1])
  await only(await api.ask('POST', `${path}/resume`, { ...operator, key: 'resume-it-once' }), 200)
  assert.equal((await federation.commands('round.opened')).length, 2)

  const descriptor = (await federation.commands('round.opened'))[1]?.data as unknown as RoundDescriptor
  await federation.deliver(await federation.summed(descriptor, { sum: null, weight: 0, accepted: 0 }))
  assert.equal((await federation.getTask(id)).state, 'failed')
  const retried = await only(await api.ask('POST', `${path}/retry`, { ...operator, key: 'retry-it-once' }), 200)
  assert.equal(retried.state, 'running')
  assert.equal((await federation.commands('round.opened')).length, 3)

  await only(await api.ask('POST', `${path}/clone`, { ...operator, body: { start: false }, key: 'clone-it-once' }), 201)
  assert.equal((await services.db.sql`select 1 from task`).length, 2)
  await only(await api.ask('POST', `${path}/cancel`, { ...operator, key: 'cancel-it-once' }), 200)
  assert.equal(await audited('task.cancelled'), 1)
})

test('ten equal requests at once with ten keys: one is obeyed, the others hear of the state', async () => {
  const federation = await services.begin({ north: { trainers: 2 } })
  await federation.comeUp()
  await using api = tenTimes(federation)
  const { id } = await federation.createTask()
  const answers = await api.ask('POST', `/v1/tasks/${id}/pause`, operator)
  assert.deepEqual(answers.map(({ status }) => status).toSorted(), [200, ...Array(9).fill(409)])
  for (const { status, body } of answers) {
    if (status === 409) assert.equal(body.detail, 'The task is paused; only a running task can be paused.')
  }
  await checkInvariants(services.db.sql)
})

test('with the cache down every answer and every byte is the same', async () => {
  const federation = await services.begin({ north: { trainers: 2 } })
  await federation.comeUp()
  const log = createLog('silent', 'test')
  // Nobody listens there.
  const cache = new UpstashCache({ url: 'http://127.0.0.1:9', token: 'none', log })
  const limit = rateLimiter({ cache, clock: systemClock })
  const context: Context = { ...federation.context, cache }
  const call = testApi('tasks', tasksHandlers(context), { database: context.database, cache })
  const request = async (method: string, path: string, body?: unknown) => {
    await limit({ kind: 'token', name: 'operator', role: 'operator' }, { sourceAddress: '127.0.0.1' })
    return call(method, path, { ...operator, ...(body === undefined ? {} : { body }) })
  }
  const body = { name: 'no cache', model: { model: federation.model }, cohort: { dataset: 'mnist' }, rounds: 1 }
  const { body: task } = await request('POST', '/v1/tasks', body)
  const path = `/v1/tasks/${task.id}`
  // More requests than the limiter lets pass without asking the cache.
  for (let count = 0; count < 250; count += 1) assert.equal((await request('GET', path)).status, 200)
  assert.equal((await request('POST', `${path}/pause`)).body.state, 'paused')
  assert.equal((await request('POST', `${path}/resume`)).body.state, 'running')
  const descriptor = (await federation.commands('round.opened')).at(-1)?.data as unknown as RoundDescriptor
  await federation.deliverTo(context, [await federation.summed(descriptor, some)])
  for (const ref of federation.merges.splice(0)) await federation.merge(ref, context)
  assert.equal((await request('GET', path)).body.state, 'completed')
  const key = `models/${federation.model}/tasks/${task.id}/1-2.safetensors`
  const bytes = await services.store.readAll(key, 1000)
  assert.deepEqual(Buffer.from(bytes), Buffer.from(exampleWeights([1.3, 3.8, 2.8], 7n)))
  await checkInvariants(services.db.sql)
})
