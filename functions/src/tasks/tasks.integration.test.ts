import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listTaskLogs } from '../logs/list-task-logs.ts'
import { reportNodeLogs } from '../regional-nodes/report-node-logs.ts'
import { testServices } from '../testing/test-services.ts'
import { listTasks } from './list-tasks.ts'
import { listParticipants } from './participants/list-participants.ts'

const services = testServices()

test('a task that cannot work is refused when it is created', async () => {
  const federation = await services.begin({ north: { trainers: 2 } })
  await federation.comeUp()
  const unknown = '01890000-0000-7000-8000-00000000000f'
  const refusals: [string, Record<string, unknown>][] = [
    ['RULE_UNKNOWN', { aggregation: { rule: 'wisdom' } }],
    ['RULE_NOT_DECOMPOSABLE', { aggregation: { rule: 'median' } }],
    ['REGION_UNKNOWN', { regions: ['north', 'atlantis'] }],
    ['COHORT_IMPOSSIBLE', { cohort: { dataset: 'mnist', size: { goal: 2, quorum: 3 } } }],
    ['COHORT_IMPOSSIBLE', { cohort: { dataset: 'mnist', size: { goal: 2, minimumToStart: 3 } } }],
    ['NOT_FOUND', { model: { model: unknown } }],
    ['NOT_FOUND', { model: { model: federation.model, version: unknown } }],
    ['BODY_INVALID', { trainer: { framework: 'pytorch' } }],
    ['BODY_INVALID', { trainer: { otherFrameworks: ['keras'] } }],
  ]
  for (const [code, fields] of refusals) await assert.rejects(federation.createTask(fields), { code }, code)
  await services.db.sql`update model_version set graph_key = null`
  await assert.rejects(federation.createTask(), { code: 'MODEL_INVALID' })
  const onnxToo = { framework: 'pytorch', trainer: 'digits', otherFrameworks: ['onnx'] }
  await assert.rejects(federation.createTask({ trainer: onnxToo }), { code: 'MODEL_INVALID' })
  await services.db.sql`update model_version set state = 'uploading'`
  await assert.rejects(federation.createTask(), { code: 'MODEL_VERSION_NOT_READY' })
  assert.equal((await services.db.sql`select 1 from task`).length, 0)
})

test('a task begins with the version that an alias names when the task is created', async () => {
  const federation = await services.begin({ north: { trainers: 2 } })
  const { sql } = services.db
  const { model, version } = federation
  const other = '01890000-0000-7000-8000-00000000000e'
  await sql`
    insert into model_version (id, model, number, state, parent, weights_key, weights_sha256, weights_bytes, manifest_key,
      manifest_sha256, manifest_bytes, graph_key, created_by)
    select ${other}, model, 1, state, id, weights_key, weights_sha256, weights_bytes, manifest_key, manifest_sha256,
      manifest_bytes, graph_key, 'test' from model_version where id = ${version}`
  const point = async (to: string) => {
    await sql`
      with made as (insert into model_alias_change (model, alias, action, version, changed_by)
        values (${model}, 'stable', 'promoted', ${to}, 'test') returning id)
      insert into model_alias (model, alias, version, change) select ${model}, 'stable', ${to}, id from made
      on conflict (model, alias) do update set version = excluded.version`
  }
  await point(version)
  const task = await federation.createTask({ model: { model, alias: 'stable' }, start: false })
  assert.equal(task.startVersion, version)
  await point(other)
  assert.equal((await federation.createTask({ model: { model, alias: 'stable' }, start: false })).startVersion, other)
  assert.equal((await federation.getTask(task.id)).startVersion, version)
  await assert.rejects(federation.createTask({ model: { model, alias: 'newest' } }), { code: 'ALIAS_UNKNOWN' })
})

test('tasks, participants and logs are paged without gaps or repeats', async () => {
  const federation = await services.begin({ north: { trainers: 2 } })
  const made = []
  for (let index = 0; index < 5; index += 1) made.push((await federation.createTask({ start: index === 0 })).id)
  const pages = async <Item>(
    page: (query: { limit: number; cursor?: string }) => Promise<{ items: Item[]; next: string | null }>,
  ): Promise<Item[][]> => {
    const all: Item[][] = []
    let cursor: string | undefined
    do {
      const { items, next } = await page({ limit: 2, ...(cursor === undefined ? {} : { cursor }) })
      all.push(items)
      cursor = next ?? undefined
    } while (cursor !== undefined)
    return all
  }
  const tasks = await pages(query =>
    listTasks(federation.context)(federation.request<'listTasks'>({ params: undefined, query, body: undefined })),
  )
  assert.deepEqual(
    tasks.map(page => page.map(({ id }) => id)),
    [[made[4], made[3]], [made[2], made[1]], [made[0]]],
  )
  const drafts = await listTasks(federation.context)(
    federation.request<'listTasks'>({ params: undefined, query: { limit: 10, state: 'draft' }, body: undefined }),
  )
  assert.equal(drafts.items.length, 4)

  const [task] = made as [string]
  await services.db.sql`
    insert into round_attempt (task, round, attempt, state, base_version, goal, selected, descriptor, deadline)
    select ${task}, r, a, 'abandoned', ${federation.version}, 1, 1, '{}', now() from generate_series(1, 2) r, generate_series(1, 2) a`
  await services.db.sql`
    insert into participation (task, round, attempt, device, region, label, verdict)
    select ${task}, a.round, a.attempt, d.id, 'north', d.label, 'accepted' from round_attempt a, device d`
  const participants = await pages(query =>
    listParticipants(federation.context)(
      federation.request<'listParticipants'>({ params: { task }, query: { ...query, round: 2 }, body: undefined }),
    ),
  )
  assert.deepEqual(
    participants.map(page => page.map(({ round, attempt, label }) => `${round}/${attempt} ${label}`)),
    [
      ['2/1 north-0', '2/1 north-1'],
      ['2/2 north-0', '2/2 north-1'],
    ],
  )

  const node = federation.nodeOf('north').id
  const entry = { time: '2026-11-25T00:00:00.000Z', level: 'info' as const, task }
  const body = {
    batch: '01890000-0000-7000-8000-000000000001',
    entries: [
      { ...entry, message: 'first' },
      { ...entry, message: 'half a pair \ud800 and \0', round: 1, fields: { seconds: 1.5 } },
      { ...entry, message: 'third' },
    ],
  }
  const report = reportNodeLogs(federation.context)
  const request = federation.request<'reportNodeLogs'>({ params: { node }, query: undefined, body })
  await report(request)
  await report(request)
  const logs = await pages(query =>
    listTaskLogs(federation.context)(
      federation.request<'listTaskLogs'>({
        params: { task },
        query: { ...query, order: 'newest', waitSeconds: 0, level: 'debug' },
        body: undefined,
      }),
    ),
  )
  assert.deepEqual(
    logs.map(page => page.map(({ message }) => message)),
    [['third', 'half a pair \ufffd and \ufffd'], ['first']],
  )
  assert.deepEqual(logs[0]?.[1], {
    id: logs[0]?.[1]?.id,
    ...entry,
    message: 'half a pair \ufffd and \ufffd',
    round: 1,
    fields: { seconds: 1.5 },
    region: 'north',
    node,
  })
})
