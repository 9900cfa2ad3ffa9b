import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import type { LogEntryView, LogPage } from '@tributary/contracts/task-views'
import { testApi, tokens } from '../testing/test-api.ts'
import { startTestDatabase, type TestDatabase } from '../testing/test-database.ts'
import { logsHandlers } from './logs-handlers.ts'

const idOf = (n: number): string => `01890a5d-ac96-774b-bcce-${n.toString(16).padStart(12, '0')}`
const [task, otherTask, north, south, device] = [1, 2, 3, 4, 5].map(idOf) as [string, string, string, string, string]

suite('logs', { timeout: 120_000 }, () => {
  const resources = new AsyncDisposableStack()
  let db: TestDatabase
  let call: ReturnType<typeof testApi>
  before(async () => {
    db = resources.use(await startTestDatabase())
    const { sql, database } = db
    call = testApi('logs', logsHandlers({ database }), { database })
    await sql`insert into model (id, name, created_by) values (${task}, 'm', 'x')`
    await sql`
      insert into model_version (id, model, number, state, weights_key, weights_sha256, weights_bytes, manifest_key,
        manifest_sha256, manifest_bytes, created_by) values (${task}, ${task}, 0, 'ready', 'k', 'x', 1, 'k', 'x', 1, 'x')`
    for (const id of [task, otherTask]) {
      await sql`
        insert into task (id, name, state, model, start_version, current_version, rounds_wanted, settings, seed, created_by)
        values (${id}, 't', 'running', ${task}, ${task}, ${task}, 1, '{}', '00', 'x')`
    }
  })
  after(() => resources.disposeAsync())

  type Written = Partial<{ level: string; region: string; about: string; device: string; round: number; code: string }>
  const log = (message: string, fields: Written = {}, time = '2026-03-01T12:00:00Z') => db.sql`
    insert into log_entry (time, received_at, level, region, node, task, round, device, code, message)
    values (${time}, ${time}, ${fields.level ?? 'info'}, ${fields.region ?? 'north'},
      ${fields.region === 'south' ? south : north}, ${fields.about ?? task}, ${fields.round ?? null},
      ${fields.device ?? null}, ${fields.code ?? null}, ${message})`
  const read = async (query = '', path = `/v1/tasks/${task}/logs`, token: string = tokens.viewer) => {
    const { body, status } = await call('GET', path, { token, query })
    assert.equal(status, 200, JSON.stringify(body))
    return body as LogPage
  }
  const texts = ({ items }: LogPage) => items.map(({ message }: LogEntryView) => message)
  const empty = () => db.sql`truncate log_entry`

  test('are found by round, region, node, device, level, code, time and words, all at once', async () => {
    await empty()
    await log('begins', { round: 1 }, '2026-03-01T10:00:00Z')
    await log('100 % of _them', { round: 1, level: 'warn', device, code: 'NOT_FINITE' }, '2026-03-01T11:00:00Z')
    await log('100 percent of them', { round: 2, level: 'error', region: 'south' }, '2026-03-01T12:00:00Z')
    await log('elsewhere', { about: otherTask, level: 'error', device })
    await log('noise', { level: 'debug' }, '2026-03-02T12:00:00Z')
    const found: readonly (readonly [query: string, messages: readonly string[]])[] = [
      ['', ['noise', '100 percent of them', '100 % of _them', 'begins']],
      ['order=oldest', ['begins', '100 % of _them', '100 percent of them', 'noise']],
      ['round=1', ['100 % of _them', 'begins']],
      ['region=south', ['100 percent of them']],
      [`node=${north}&level=info`, ['100 % of _them', 'begins']],
      [`device=${device}`, ['100 % of _them']],
      ['level=warn', ['100 percent of them', '100 % of _them']],
      ['level=error', ['100 percent of them']],
      ['code=NOT_FINITE', ['100 % of _them']],
      ['from=2026-03-01T11:00:00Z&to=2026-03-01T12:00:00Z', ['100 % of _them']],
      ['to=2026-03-01T11:00:00Z', ['begins']],
      ['from=2026-03-02T00:00:00Z', ['noise']],
      ['from=2027-01-01T00:00:00Z', []],
      ['from=9999-12-31T23:59:59Z', []],
      ['to=0001-01-01T00:00:00Z', []],
      ['q=OF', ['100 percent of them', '100 % of _them']],
      [`q=${encodeURIComponent('100 %')}`, ['100 % of _them']],
      ['q=_', ['100 % of _them']],
      [`q=${encodeURIComponent('\\')}`, []],
      ['q=them&level=warn&round=2', ['100 percent of them']],
    ]
    for (const [query, messages] of found) assert.deepEqual(texts(await read(query)), messages, query)
  })

  test('of everything are for operators, by region, node and device', async () => {
    const all = (query: string) => read(query, '/v1/logs', tokens.operator)
    assert.deepEqual(texts(await all('level=error')), ['elsewhere', '100 percent of them'])
    assert.deepEqual(texts(await all(`device=${device}`)), ['elsewhere', '100 % of _them'])
    assert.deepEqual(texts(await all('region=south')), ['100 percent of them'])
    assert.equal((await call('GET', '/v1/logs', { token: tokens.viewer })).status, 403)
  })

  test('come in pages that miss and repeat nothing, whatever is logged meanwhile', async () => {
    await empty()
    for (let n = 0; n < 7; n += 1) await log(`entry ${n}`)
    for (const [order, wanted] of [
      ['newest', [6, 5, 4, 3, 2, 1, 0]],
      ['oldest', [0, 1, 2, 3, 4, 5, 6]],
    ] as const) {
      const seen: string[] = []
      let page = await read(`order=${order}&limit=3`)
      const { tail } = page
      for (;;) {
        seen.push(...texts(page))
        assert.equal(page.tail, tail)
        if (page.next === null) break
        await log(`later ${order}`)
        page = await read(`order=${order}&limit=3&cursor=${page.next}`)
      }
      assert.deepEqual(
        seen,
        wanted.map(n => `entry ${n}`),
      )
      assert.deepEqual(texts(await read(`after=${tail}`)), Array(2).fill(`later ${order}`))
      await db.sql`delete from log_entry where message like 'later%'`
    }
  })

  test('that are rare among many are found in bounded steps', async () => {
    await empty()
    await log('the needle')
    await db.sql`
      insert into log_entry (time, level, region, node, task, message)
      select now(), 'info', 'north', ${north}, ${task}, 'hay' from generate_series(1, 45000)`
    const first = await read('q=needle')
    assert.deepEqual([first.items, first.next === null], [[], false])
    const second = await read(`q=needle&cursor=${first.next}`)
    assert.deepEqual([second.items, second.next === null], [[], false])
    const third = await read(`q=needle&cursor=${second.next}`)
    assert.deepEqual([texts(third), third.next], [['the needle'], null])
    // A tail goes on in the same steps, and does not go through the same entries again.
    const steps: LogPage[] = [await read('q=nothing&after=MA')]
    while (steps.length < 3) steps.push(await read(`q=nothing&after=${steps.at(-1)?.tail}`))
    assert.equal(new Set(steps.map(({ tail }) => tail)).size, 3)
    assert.equal(steps[2]?.tail, first.tail)
  })

  test('a live tail answers at once with what came meanwhile, else as soon as something fits', async () => {
    await empty()
    await log('before')
    const { tail } = await read()
    await log('meanwhile')
    const meanwhile = await read(`after=${tail}&waitSeconds=10`)
    assert.deepEqual(texts(meanwhile), ['meanwhile'])

    const waiting = read(`after=${meanwhile.tail}&waitSeconds=10&level=warn`)
    await log('does not fit')
    await log('fits', { level: 'warn' })
    const live = await waiting
    assert.deepEqual(texts(live), ['fits'])
    assert.deepEqual((await read(`after=${live.tail}`)).items, [])
  })

  test('a live tail ends with its time and without entries', async () => {
    const { tail } = await read()
    const began = performance.now()
    const page = await read(`after=${tail}&waitSeconds=1`)
    const seconds = (performance.now() - began) / 1000
    assert.ok(seconds >= 0.95, `${seconds} s`)
    assert.deepEqual(page, { items: [], next: null, tail })
  })

  test('a live tail misses nothing of batches that commit in another order than they began', async () => {
    await empty()
    await log('before')
    const { tail } = await read()
    const slow = Promise.withResolvers<void>()
    const wrote = Promise.withResolvers<void>()
    const insert = (message: string) => db.sql`
      insert into log_entry (time, level, region, node, task, message)
      values (now(), 'info', 'north', ${north}, ${task}, ${message})`
    const first = db.sql.begin(async sql => {
      await sql`insert into log_entry (time, level, region, node, task, message)
        values (now(), 'info', 'north', ${north}, ${task}, 'began first')`
      wrote.resolve()
      await slow.promise
    })
    await wrote.promise
    let done = false
    const second = insert('began second').then(() => {
      done = true
    })
    const waits = async () =>
      (await db.sql`select 1 from pg_locks where locktype = 'advisory' and not granted`).length > 0
    while (!done && !(await waits())) await new Promise(setImmediate)
    const seen = [await read(`after=${tail}`)]
    slow.resolve()
    await Promise.all([first, second])
    seen.push(await read(`after=${seen[0]?.tail}&waitSeconds=5`))
    assert.deepEqual(seen.flatMap(texts), ['began first', 'began second'])
  })

  test('an unchanged list is not sent again', async () => {
    const path = `/v1/tasks/${task}/logs`
    const { headers } = await call('GET', path, { token: tokens.viewer })
    const again = () =>
      call('GET', path, { token: tokens.viewer, headers: { 'if-none-match': headers.etag as string } })
    assert.equal((await again()).status, 304)
    await log('new')
    assert.equal((await again()).status, 200)
  })

  test('queries that contradict themselves are refused', async () => {
    for (const query of [
      'to=0000-01-01T00:00:00Z',
      'waitSeconds=1',
      'after=MA&cursor=WzEsMV0',
      'after=x',
      'cursor=MA',
      'waitSeconds=11&after=MA',
      'q=',
    ]) {
      const { status, body } = await call('GET', `/v1/tasks/${task}/logs`, { token: tokens.viewer, query })
      assert.deepEqual([status, body.code], [400, 'QUERY_INVALID'], query)
    }
    const unknown = await call('GET', `/v1/tasks/${idOf(9)}/logs`, { token: tokens.viewer })
    assert.equal(unknown.body.code, 'NOT_FOUND')
  })
})
