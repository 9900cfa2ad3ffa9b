import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { TaskDetail } from '@tributary/contracts/tasks'
import { ApiClient } from '../platform/api-client.ts'
import { type ProcessEntry, processTree, stillRunning } from '../testing/processes.ts'
import { type StackRun, startStack } from '../testing/stack-run.ts'

const portBase = 22_000
const apiUrl = `http://127.0.0.1:${portBase + 1}`
let stateDir: string
let run: StackRun
let tokens: { viewer: string; operator: string; admin: string }
let api: ApiClient
let undisturbed: TaskDetail

before(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'tributary-e2e-'))
  run = startStack(['--json'], { stateDir, portBase })
  await run.untilLine(/Serving until Ctrl-C/, 240)
  const token = async (role: string): Promise<string> =>
    (await run.untilLine(new RegExp(`${role} +(trib_\\S+)`), 1))[1] ?? ''
  tokens = { viewer: await token('viewer'), operator: await token('operator'), admin: await token('admin') }
  api = new ApiClient(apiUrl, tokens.operator)
  const list = await api.call('listTasks', { query: { limit: 1 } })
  undisturbed = await api.call('getTask', { params: { task: list.items[0]?.id ?? '' } })
})
after(async () => {
  await run[Symbol.asyncDispose]()
  await rm(stateDir, { recursive: true, force: true })
})

const until = async <Value>(what: string, seconds: number, probe: () => Promise<Value | undefined>): Promise<Value> => {
  const deadline = Date.now() + seconds * 1000
  for (;;) {
    const value = await probe()
    if (value !== undefined) return value
    if (Date.now() > deadline) throw new Error(`${what} did not happen within ${seconds} s`)
    await delay(100)
  }
}

/** The same task again: same seed, same settings. */
const repeatTask = (changes: Record<string, unknown> = {}): Promise<{ id: string }> =>
  api.call('createTask', { body: { ...(undisturbed.settings as object), ...changes } as never })

const processesOf = async (what: RegExp): Promise<readonly ProcessEntry[]> =>
  (await processTree(run.npm.pid ?? 0)).filter(({ command }) => what.test(command))

const detailOf = (task: string): Promise<TaskDetail> => api.call('getTask', { params: { task } })

const untilRound = (task: string, round: number): Promise<TaskDetail> =>
  until(`round ${round}`, 60, async () => {
    const detail = await detailOf(task)
    return detail.history.some(view => view.round >= round) ? detail : undefined
  })

/** Nothing is proved by a kill between two rounds. */
const assertInRound = (detail: TaskDetail): void => {
  assert.match(detail.history.at(-1)?.state ?? '', /^(open|collecting)$/)
}

const untilFinal = (task: string): Promise<TaskDetail> =>
  until('the end of the task', 400, async () => {
    const detail = await detailOf(task)
    return ['completed', 'failed', 'cancelled'].includes(detail.state) ? detail : undefined
  })

const finalSha = (detail: TaskDetail): string | null | undefined =>
  detail.history.filter(round => round.state === 'committed').at(-1)?.modelSha256

test('agents killed in the middle of a round cost the task nothing', async () => {
  const { id } = await repeatTask({ name: 'agents killed' })
  assertInRound(await untilRound(id, 2))
  const agents = await processesOf(/edge-agent\/dist\/main\.mjs/)
  assert.equal(agents.length, 11)
  for (const agent of agents.slice(0, 3)) process.kill(agent.pid, 'SIGKILL')
  await run.untilLine(/agent \S+ ended with SIGKILL; started again/, 10)
  const detail = await untilFinal(id)
  assert.equal(detail.state, 'completed')
  assert.equal(finalSha(detail), finalSha(undisturbed))
})

test('a regional node killed in the middle of a round goes on from its log', async () => {
  const { id } = await repeatTask({ name: 'node killed' })
  assertInRound(await untilRound(id, 2))
  const [node] = await processesOf(/regional-node\/dist\/main\.mjs/)
  assert.ok(node)
  process.kill(node.pid, 'SIGKILL')
  await run.untilLine(/node region-\d+ ended with SIGKILL; started again/, 10)
  const detail = await untilFinal(id)
  assert.equal(detail.state, 'completed')
  assert.equal(finalSha(detail), finalSha(undisturbed))
})

test('a running task is cancelled end to end', async () => {
  const { id } = await repeatTask({ name: 'to cancel', rounds: 1000 })
  await untilRound(id, 2)
  const cancelled = await api.call('cancelTask', { params: { task: id } })
  assert.equal(cancelled.state, 'cancelled')
  const again = await api.call('cancelTask', { params: { task: id } })
  assert.equal(again.state, 'cancelled')
  const versionsThen = (await detailOf(id)).rounds.committed
  // The next task runs at once: nobody is still busy with the cancelled one, and nothing of it is committed any more.
  const next = await untilFinal((await repeatTask({ name: 'after the cancelled one', rounds: 1 })).id)
  assert.equal(next.state, 'completed')
  const detail = await detailOf(id)
  assert.equal(detail.state, 'cancelled')
  assert.equal(detail.rounds.committed, versionsThen)
})

/** sha256 of the version that the undisturbed task committed in a round. */
const shaOfRound = (round: number): string | null | undefined =>
  undisturbed.history.find(view => view.round === round)?.modelSha256

test('a task is paused in the middle of a round and resumed, and ends with the bytes of one that was not', async () => {
  const { id } = await repeatTask({ name: 'to pause', rounds: 2 })
  assertInRound(await untilRound(id, 1))
  const paused = await api.call('pauseTask', { params: { task: id } })
  assert.equal(paused.state, 'paused')
  // Agents go on with other work meanwhile: a dry run, on one of them alone.
  const [device] = (await api.call('listDevices', { query: { kind: 'trainer', limit: 1 } })).items
  const versions = async () => (await api.call('getModel', { params: { model: undisturbed.model } })).latestVersion
  const before = await versions()
  const dryRun = await untilFinal((await repeatTask({ name: 'dry run', dryRun: { device: device?.id } })).id)
  assert.deepEqual([dryRun.state, dryRun.reason?.code, dryRun.history.length], ['completed', 'DRY_RUN', 1])
  const [round] = dryRun.history
  assert.deepEqual([round?.accepted, round?.version, (round?.trainingLoss ?? 0) > 0], [1, null, true])
  assert.deepEqual(await versions(), before)

  const still = await detailOf(id)
  assert.deepEqual([still.state, still.rounds.committed], ['paused', 0])
  assert.equal((await api.call('resumeTask', { params: { task: id } })).state, 'running')
  const detail = await untilFinal(id)
  assert.equal(detail.state, 'completed')
  assert.equal(finalSha(detail), shaOfRound(2))
})

test('a task that failed for want of devices is retried when they are there', async () => {
  const groups = ['late-comers']
  const cohort = { ...(undisturbed.settings.cohort as object), groups }
  // Long enough for nodes to hear of new groups, which the status call tells them every 5 s.
  const changes = { cohort, rounds: 1, attempts: 1, deadlines: { selectionSeconds: 8 } }
  const { id } = await repeatTask({ name: 'to retry', ...changes })
  const failed = await untilFinal(id)
  assert.equal(failed.state, 'failed', JSON.stringify(failed.reason))
  const { items } = await api.call('listDevices', { query: { kind: 'trainer', limit: 200 } })
  for (const { id: device } of items) await api.call('updateDevice', { params: { device }, body: { groups } })
  const retried = await api.call('retryTask', { params: { task: id } })
  assert.match(retried.state, /^(queued|running)$/)
  const detail = await untilFinal(id)
  assert.equal(detail.state, 'completed', JSON.stringify(detail.reason))
  assert.equal(finalSha(detail), shaOfRound(1))
})

type Answer = { status: number; code: string | undefined; type: string | null }

const request = async (
  method: string,
  path: string,
  init: { token?: string; body?: string; headers?: Record<string, string> } = {},
): Promise<Answer> => {
  const answer = await fetch(`${apiUrl}${path}`, {
    method,
    headers: {
      ...(init.token === undefined ? {} : { authorization: `Bearer ${init.token}` }),
      ...(init.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...init.headers,
    },
    ...(init.body === undefined ? {} : { body: init.body }),
  })
  const body = (await answer.json().catch(() => ({}))) as { code?: string }
  return { status: answer.status, code: body.code, type: answer.headers.get('content-type') }
}

const key = { 'idempotency-key': 'a-key-of-this-test' }

test('the API refuses what it must, with a problem document and a code of the catalogue', async () => {
  const { operator, viewer } = tokens
  const cases: readonly (readonly [string, Promise<Answer>, number, string])[] = [
    ['no token', request('GET', '/v1/tasks'), 401, 'UNAUTHENTICATED'],
    ['wrong token', request('GET', '/v1/tasks', { token: 'trib_admin_guess' }), 401, 'UNAUTHENTICATED'],
    ['too low a role', request('POST', '/v1/tasks', { token: viewer, body: '{}', headers: key }), 403, 'FORBIDDEN'],
    ['unknown route', request('GET', '/v1/nothing', { token: viewer }), 404, 'ROUTE_UNKNOWN'],
    ['wrong method', request('DELETE', '/v1/tasks', { token: operator }), 405, 'METHOD_NOT_ALLOWED'],
    [
      'no idempotency key',
      request('POST', '/v1/models', { token: operator, body: '{"name":"x"}' }),
      400,
      'IDEMPOTENCY_KEY_REQUIRED',
    ],
    ['not JSON', request('POST', '/v1/tasks', { token: operator, body: '{', headers: key }), 400, 'BAD_JSON'],
    [
      'wrong body',
      request('POST', '/v1/tasks', { token: operator, body: '{"name":1}', headers: key }),
      400,
      'BODY_INVALID',
    ],
    [
      'unknown field',
      request('POST', '/v1/models', { token: operator, body: '{"name":"x","colour":"red"}', headers: key }),
      400,
      'BODY_INVALID',
    ],
    [
      '10 MB body',
      request('POST', '/v1/tasks', { token: operator, body: JSON.stringify({ name: 'x'.repeat(1e7) }), headers: key }),
      413,
      'BODY_TOO_LARGE',
    ],
    ['an id that is a path', request('GET', '/v1/tasks/..%2F..%2Fetc%2Fpasswd', { token: viewer }), 400, 'ID_INVALID'],
    [
      'an unknown id',
      request('GET', '/v1/tasks/01890a5d-ac96-774b-bcce-b302099a8057', { token: viewer }),
      404,
      'NOT_FOUND',
    ],
    ['an unknown query field', request('GET', '/v1/tasks?colour=red', { token: viewer }), 400, 'QUERY_INVALID'],
  ]
  for (const [name, asked, status, code] of cases) {
    const answer = await asked
    assert.deepEqual({ status: answer.status, code: answer.code }, { status, code }, name)
    assert.match(answer.type ?? '', /application\/problem\+json/, name)
  }
})

test('a task shows its rounds and metrics', async () => {
  const detail = await new ApiClient(apiUrl, tokens.viewer).call('getTask', { params: { task: undisturbed.id } })
  assert.equal(detail.history.length, 5)
  for (const round of detail.history) {
    assert.equal(round.state, 'committed')
    assert.equal(round.accepted, 10)
    assert.equal(round.weight, 60_000)
    assert.equal(round.evaluatedExamples, 10_000)
    assert.ok((round.trainingLoss ?? 0) > 0)
  }
  const participants = await api.call('listParticipants', { params: { task: undisturbed.id }, query: { round: 1 } })
  assert.equal(participants.items.length, 10)
  assert.ok(participants.items.every(({ verdict, examples }) => verdict === 'accepted' && examples === 6000))
})

test('Ctrl-C ends the stack and leaves no process behind', async () => {
  const started = await processTree(run.npm.pid ?? 0)
  assert.ok(started.length > 20)
  run.npm.kill('SIGINT')
  const { code } = await run.ended
  assert.equal(code, 130)
  assert.equal(run.summary().taskId, undisturbed.id)
  assert.deepEqual(await stillRunning(started), [])
})
