import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RoundDescriptor } from '@tributary/contracts/round'
import { exampleSum } from '../testing/example-model.ts'
import { testApi, tokens } from '../testing/test-api.ts'
import { testServices } from '../testing/test-services.ts'
import { tasksHandlers } from './tasks-handlers.ts'

const services = testServices()

const begin = async () => {
  const federation = await services.begin({ north: { trainers: 2 } })
  await federation.comeUp()
  // Every answer is held to the schema of its route.
  const call = testApi('tasks', tasksHandlers(federation.context), services.db)
  const body = { name: 'a task', model: { model: federation.model }, cohort: { dataset: 'mnist' }, rounds: 1 }
  return { federation, call, body }
}

test('a task is created once a key, is seen through its life, and ends', async () => {
  const { federation, call, body } = await begin()
  const operator = { token: tokens.operator }
  const created = await call('POST', '/v1/tasks', { ...operator, body, key: 'create-once' })
  assert.equal(created.status, 201)
  const again = await call('POST', '/v1/tasks', { ...operator, body, key: 'create-once' })
  assert.deepEqual(again.body, created.body)
  assert.equal((await services.db.sql`select 1 from task`).length, 1)
  const path = `/v1/tasks/${created.body.id}`
  const open = await call('GET', path, { token: tokens.viewer })
  assert.deepEqual([open.status, open.body.state, open.body.history[0].state], [200, 'running', 'open'])

  const descriptor = (await federation.commands('round.opened'))[0]?.data as unknown as RoundDescriptor
  const device = federation.devices[0]?.id as string
  const metrics = { steps: '3' }
  const lines = [
    {
      device,
      label: 'north-0',
      verdict: 'accepted' as const,
      examples: 60,
      weight: 60,
      bytes: 12,
      seconds: 0.5,
      metrics,
    },
    { device: federation.devices[1]?.id as string, label: 'north-1', verdict: 'invalid' as const, code: 'NOT_FINITE' },
  ]
  const result = { sum: exampleSum([30, 180, -20], 7n), weight: 100, accepted: 2, lines }
  await federation.deliver(await federation.summed(descriptor, result))
  await federation.runMerges()
  const done = await call('GET', path, { token: tokens.viewer })
  assert.deepEqual([done.body.state, done.body.rounds], ['completed', { wanted: 1, committed: 1 }])
  const participants = await call('GET', `${path}/participants`, { token: tokens.viewer, query: 'round=1' })
  assert.deepEqual(
    participants.body.items.map((item: { label: string; verdict: string; code: string | null }) => [
      item.label,
      item.verdict,
      item.code,
    ]),
    [
      ['north-0', 'accepted', null],
      ['north-1', 'invalid', 'NOT_FINITE'],
    ],
  )
  assert.equal((await call('POST', `${path}/cancel`, operator)).status, 409)
  assert.equal(
    (await call('GET', '/v1/tasks', { token: tokens.viewer, query: 'state=completed' })).body.items.length,
    1,
  )
})

test('a draft is started once, and cancelled as often as one likes', async () => {
  const { call, body } = await begin()
  const operator = { token: tokens.operator }
  const { body: draft } = await call('POST', '/v1/tasks', { ...operator, body: { ...body, start: false } })
  assert.equal(draft.state, 'draft')
  assert.equal((await call('POST', `/v1/tasks/${draft.id}/start`, operator)).body.state, 'running')
  const again = await call('POST', `/v1/tasks/${draft.id}/start`, operator)
  assert.deepEqual([again.status, again.body.code], [409, 'STATE_CONFLICT'])
  assert.equal((await call('POST', `/v1/tasks/${draft.id}/cancel`, operator)).body.state, 'cancelled')
  assert.equal((await call('POST', `/v1/tasks/${draft.id}/cancel`, operator)).status, 200)
})

test('wrong bodies, ids and cursors are answered by problem details', async () => {
  const { call, body } = await begin()
  const operator = { token: tokens.operator }
  const codes = await Promise.all([
    call('POST', '/v1/tasks', { ...operator, body: { ...body, surprise: 1 } }),
    call('POST', '/v1/tasks', {
      ...operator,
      body: { ...body, cohort: { dataset: 'mnist', size: { goal: 1, quorum: 2 } } },
    }),
    call('POST', '/v1/tasks', { token: tokens.viewer, body }),
    call('GET', '/v1/tasks/01890000-0000-7000-8000-00000000000f', operator),
    call('GET', '/v1/tasks/01890000-0000-7000-8000-00000000000f/metrics', operator),
    call('GET', '/v1/tasks/01890000-0000-7000-8000-00000000000f/rounds', operator),
    call('GET', '/v1/tasks/01890000-0000-7000-8000-00000000000f/rounds/1', operator),
    call('GET', '/v1/tasks/01890000-0000-7000-8000-00000000000f/participants', operator),
    call('POST', '/v1/tasks/01890000-0000-7000-8000-00000000000f/cancel', operator),
    call('GET', '/v1/tasks/..%2fx', operator),
    call('GET', '/v1/tasks', { ...operator, query: 'cursor=AAAA' }),
  ])
  assert.deepEqual(
    codes.map(answer => answer.body.code),
    [
      'BODY_INVALID',
      'COHORT_IMPOSSIBLE',
      'FORBIDDEN',
      'NOT_FOUND',
      'NOT_FOUND',
      'NOT_FOUND',
      'NOT_FOUND',
      'NOT_FOUND',
      'NOT_FOUND',
      'ID_INVALID',
      'QUERY_INVALID',
    ],
  )
})
