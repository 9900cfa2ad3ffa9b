import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RoundDescriptor } from '@tributary/contracts/round'
import { checkInvariants } from '../testing/check-invariants.ts'
import { exampleSum } from '../testing/example-model.ts'
import type { Enrolment, RoundFederation } from '../testing/round-federation.ts'
import { testApi, tokens } from '../testing/test-api.ts'
import { testServices } from '../testing/test-services.ts'
import { tasksHandlers } from './tasks-handlers.ts'

const services = testServices()

const operator = { token: tokens.operator }
const some = { sum: exampleSum([30, 180, -20], 7n), weight: 100, accepted: 2 }
const nothing = { sum: null, weight: 0, accepted: 0 }

const begin = async (regions: Readonly<Record<string, Enrolment>> = { north: { trainers: 2 } }) => {
  const federation = await services.begin(regions)
  await federation.comeUp()
  const call = testApi('tasks', tasksHandlers(federation.context), services.db)
  const act = (task: string, action: string, body?: unknown) =>
    call('POST', `/v1/tasks/${task}/${action}`, { ...operator, ...(body === undefined ? {} : { body }) })
  return { federation, call, act }
}
const opened = async (federation: RoundFederation): Promise<RoundDescriptor[]> =>
  (await federation.commands('round.opened')).map(({ data }) => data as unknown as RoundDescriptor)
const latest = async (federation: RoundFederation): Promise<RoundDescriptor> =>
  (await opened(federation)).at(-1) as RoundDescriptor
const sound = () => checkInvariants(services.db.sql)

test('a paused task drops its round and goes on later, on the same base, with all its attempts', async () => {
  const { federation, act } = await begin()
  const { id } = await federation.createTask({ attempts: 1 })
  const first = await latest(federation)
  const late = await federation.summed(first, some)
  const paused = await act(id, 'pause')
  assert.deepEqual(
    [paused.status, paused.body.state, paused.body.reason, paused.body.queue],
    [200, 'paused', { code: 'PAUSED', detail: 'Paused by token:operator.' }, null],
  )
  const ref = { task: id, round: 1, attempt: 1 }
  assert.deepEqual(await federation.commands('round.settled'), [
    { region: 'north', data: { ...ref, outcome: 'abandoned', reason: 'PAUSED' } },
  ])
  assert.deepEqual(await federation.commands('task.paused'), [{ region: 'north', data: { task: id } }])
  const answer = await federation.status(federation.nodeOf('north'), { holding: [ref] })
  assert.deepEqual([answer.attempts, answer.settled], [[], [{ ...ref, outcome: 'abandoned' }]])
  await federation.deliver(late)
  assert.equal((await federation.getTask(id)).history[0]?.accepted, 0)

  const resumed = await act(id, 'resume')
  assert.deepEqual([resumed.status, resumed.body.state, resumed.body.reason], [200, 'running', null])
  assert.deepEqual(await federation.commands('task.resumed'), [{ region: 'north', data: { task: id } }])
  const second = await latest(federation)
  assert.deepEqual([second.round, second.attempt, second.base], [1, 2, first.base])
  // The one attempt that the task allows is still whole: the second is the first that counts.
  await federation.deliver(await federation.summed(second, some))
  await federation.runMerges()
  const done = await federation.getTask(id)
  assert.deepEqual([done.state, done.history[0]?.attempt], ['completed', 2])
  await sound()
})

test('a task paused while it merges keeps its version, and the merge commits nothing', async () => {
  const { federation, act } = await begin()
  const { id } = await federation.createTask()
  await federation.deliver(await federation.summed(await latest(federation), some))
  assert.equal((await federation.getTask(id)).history[0]?.state, 'closing')
  await act(id, 'pause')
  await federation.runMerges()
  const paused = await federation.getTask(id)
  assert.deepEqual([paused.state, paused.currentVersion], ['paused', federation.version])
  assert.equal((await services.db.sql`select 1 from model_version`).length, 1)
  await sound()
})

test('a task resumed where nobody is there runs, and waits for devices', async () => {
  const { federation, act } = await begin()
  const { id } = await federation.createTask()
  await act(id, 'pause')
  await services.db.sql`update region_shard set devices_online = 0`
  const { body } = await act(id, 'resume')
  assert.deepEqual([body.state, body.queue], ['running', null])
  assert.equal((await opened(federation)).length, 1)
  await federation.status(federation.nodeOf('north'))
  assert.equal((await latest(federation)).attempt, 2)
})

test('a failed task is retried from its last committed round, with its attempts anew', async () => {
  const { federation, act } = await begin()
  const { id } = await federation.createTask({ rounds: 2, attempts: 2 })
  await federation.deliver(await federation.summed(await latest(federation), some))
  await federation.runMerges()
  const { currentVersion } = await federation.getTask(id)
  const failRound = async () => {
    for (let attempt = 0; attempt < 2; attempt += 1) {
      await federation.deliver(await federation.summed(await latest(federation), nothing))
    }
  }
  await failRound()
  const failed = await federation.getTask(id)
  assert.deepEqual([failed.state, failed.reason?.code], ['failed', 'ATTEMPTS_EXHAUSTED'])

  const retried = await act(id, 'retry')
  assert.deepEqual(
    [retried.body.state, retried.body.reason, retried.body.finishedAt, retried.body.rounds],
    ['running', null, null, { wanted: 2, committed: 1 }],
  )
  const next = await latest(federation)
  assert.deepEqual([next.round, next.attempt, next.base.version], [2, 3, currentVersion])
  await failRound()
  const again = await federation.getTask(id)
  assert.equal(again.state, 'failed')
  assert.match(again.reason?.detail ?? '', /^Round 2: 2 of 2 attempts/)
  await act(id, 'retry')
  await federation.deliver(await federation.summed(await latest(federation), some))
  await federation.runMerges()
  assert.equal((await federation.getTask(id)).state, 'completed')
  await sound()
})

test('every action is refused in every state that has no arrow for it, and the state is named', async () => {
  const { federation, call, act } = await begin()
  const inState = async (state: string): Promise<string> => {
    const { id } = await federation.createTask({ start: state !== 'draft' })
    const reason = ['paused', 'failed', 'cancelled'].includes(state) ? { code: 'CANCELLED', detail: '' } : null
    await services.db.sql`update round_attempt set state = 'abandoned' where task = ${id}`
    await services.db.sql`update task set state = ${state}, reason = ${services.db.sql.json(reason)} where id = ${id}`
    return id
  }
  const allowed: Record<string, readonly string[]> = {
    start: ['draft'],
    pause: ['running'],
    resume: ['paused'],
    retry: ['failed'],
    cancel: ['draft', 'queued', 'running', 'paused', 'cancelled'],
    edit: ['draft'],
    delete: ['draft'],
    clone: ['draft', 'queued', 'running', 'paused', 'completed', 'failed', 'cancelled'],
  }
  const settings = { name: 'edited', model: { model: federation.model }, cohort: { dataset: 'mnist' } }
  for (const [action, states] of Object.entries(allowed)) {
    for (const state of ['draft', 'queued', 'running', 'paused', 'completed', 'failed', 'cancelled']) {
      const id = await inState(state)
      const key = `${action}-${id}`
      const answer =
        action === 'edit'
          ? await call('PUT', `/v1/tasks/${id}`, { ...operator, key, body: settings })
          : action === 'delete'
            ? await call('DELETE', `/v1/tasks/${id}`, { ...operator, key })
            : await act(id, action, action === 'clone' ? {} : undefined)
      const outcome = `${action} ${state}: ${answer.status} ${answer.body?.code ?? ''}`
      if (states.includes(state)) {
        assert.ok(answer.status < 300, outcome)
      } else {
        assert.equal(outcome, `${action} ${state}: 409 STATE_CONFLICT`)
        assert.match(answer.body.detail, new RegExp(`^The task is ${state}`), outcome)
      }
    }
  }
  const nobody = '01890000-0000-7000-8000-00000000000f'
  for (const action of ['start', 'pause', 'resume', 'retry', 'cancel', 'clone']) {
    assert.equal((await act(nobody, action, action === 'clone' ? {} : undefined)).status, 404, action)
  }
})

test('a draft is edited as a whole and keeps its seed; deleted, it is gone', async () => {
  const { federation, call } = await begin()
  const draft = await federation.createTask({ start: false, rounds: 7, priority: 9 })
  const path = `/v1/tasks/${draft.id}`
  const body = { name: 'better', model: { model: federation.model }, cohort: { dataset: 'letters' }, attempts: 5 }
  const edited = await call('PUT', path, { ...operator, key: 'edit-it-once', body })
  assert.equal(edited.status, 200)
  assert.deepEqual(
    [edited.body.state, edited.body.name, edited.body.rounds.wanted, edited.body.settings.priority],
    ['draft', 'better', 10, 5],
  )
  assert.equal(edited.body.settings.seed, draft.settings.seed)
  const refused = await call('PUT', path, { ...operator, key: 'edit-it-wrong', body: { ...body, rounds: 0 } })
  assert.deepEqual([refused.status, refused.body.code], [400, 'BODY_INVALID'])
  const started = await call('PUT', path, { ...operator, key: 'edit-and-start', body: { ...body, start: true } })
  assert.equal(started.body.state, 'running')
  assert.equal((await latest(federation)).cohort.dataset, 'letters')

  const other = await federation.createTask({ start: false })
  const gone = await call('DELETE', `/v1/tasks/${other.id}`, { ...operator, key: 'delete-once' })
  assert.equal(gone.status, 204)
  assert.equal((await call('GET', `/v1/tasks/${other.id}`, operator)).status, 404)
  assert.equal((await call('DELETE', `/v1/tasks/${other.id}`, { ...operator, key: 'delete-once' })).status, 204)
  assert.equal((await call('DELETE', `/v1/tasks/${other.id}`, { ...operator, key: 'delete-twice' })).status, 404)
  const entries = await services.db
    .sql`select action from audit_entry where subject = ${`task/${other.id}`} order by sequence`
  assert.deepEqual(
    entries.map(({ action }) => action),
    ['task.created', 'task.deleted'],
  )
  await sound()
})

test('a clone has the settings, seed and first version of its task, but for the changes', async () => {
  const { federation, act } = await begin()
  const origin = await federation.createTask({ seed: 7, aggregation: { weightCap: 9 }, regions: ['north'] })
  await federation.deliver(await federation.summed(await latest(federation), some))
  await federation.runMerges()
  const clone = await act(origin.id, 'clone', {
    name: 'a clone',
    rounds: 3,
    aggregation: { clippingNorm: 2 },
    regions: null,
  })
  assert.equal(clone.status, 201)
  assert.equal(clone.body.state, 'running')
  assert.equal(clone.body.startVersion, federation.version)
  const { name, rounds, seed, aggregation, regions, cohort } = clone.body.settings
  assert.deepEqual([name, rounds, seed, regions, cohort.dataset], ['a clone', 3, 7, [], 'mnist'])
  assert.deepEqual([aggregation.weightCap, aggregation.clippingNorm], [9, 2])

  const newest = await act(origin.id, 'clone', { model: { version: null }, seed: null, start: false })
  assert.equal(newest.body.startVersion, (await federation.getTask(origin.id)).currentVersion)
  assert.notEqual(newest.body.settings.seed, 7)
  assert.equal(newest.body.state, 'draft')
  const ofDraft = await act(newest.body.id, 'clone', {})
  assert.deepEqual([ofDraft.body.state, ofDraft.body.settings.seed], ['draft', newest.body.settings.seed])

  const refusals: [code: string, patch: unknown][] = [
    ['BODY_INVALID', { rounds: 0 }],
    ['BODY_INVALID', { surprise: 1 }],
    ['BODY_INVALID', { name: null }],
    ['BODY_INVALID', { trainer: { momentum: 0.5 } }],
    ['BODY_INVALID', []],
    ['BODY_INVALID', `${'{"trainer":'.repeat(5000)}1${'}'.repeat(5000)}`],
    ['BODY_INVALID', `{"cohort":${'['.repeat(20_000)}${']'.repeat(20_000)}}`],
    ['BODY_INVALID', '{"trainer":{"__proto__":{"batchSize":1}}}'],
    ['COHORT_IMPOSSIBLE', { cohort: { size: { goal: 1, quorum: 2 } } }],
    ['REGION_UNKNOWN', { regions: ['atlantis'] }],
    ['RULE_NOT_DECOMPOSABLE', { aggregation: { rule: 'krum' } }],
    ['RULE_NOT_DECOMPOSABLE', { aggregation: { regionalRounds: 2 } }],
  ]
  for (const [code, patch] of refusals) {
    assert.equal((await act(origin.id, 'clone', patch)).body.code, code, JSON.stringify(patch))
  }
  await sound()
})

test('settings from before a field was known have its default', async () => {
  const { federation, act } = await begin()
  const { id } = await federation.createTask({ rounds: 2, regions: ['north'] })
  // As the version before wrote them.
  await services.db.sql`
    update task set regions = null, queued_at = null,
      settings = settings - 'stop' - 'priority' - 'serverOptimizer' #- '{evaluation,cohortShare}' where id = ${id}`
  await federation.deliver(await federation.summed(await latest(federation), some))
  await federation.runMerges()
  const running = await federation.getTask(id)
  assert.deepEqual([running.state, running.rounds.committed, running.history.length], ['running', 1, 2])
  assert.equal((await act(id, 'clone', { start: false })).body.settings.priority, 5)
})
