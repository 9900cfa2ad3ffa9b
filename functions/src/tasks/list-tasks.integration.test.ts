import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { explainQuery } from '../testing/explain-query.ts'
import { startTestDatabase, type TestDatabase } from '../testing/test-database.ts'
import { taskPage } from './list-tasks.ts'

type Query = Parameters<typeof taskPage>[1]

const tasks = 100_000
const limit = 50
/** Far above what these look at, far below a walk over the table. */
const mostPages = 2_500
const idOf = (n: number): string => `01890a5d-ac96-774b-bcce-${n.toString(16).padStart(12, '0')}`

suite(`lists of ${tasks} tasks`, { timeout: 120_000 }, () => {
  const resources = new AsyncDisposableStack()
  let db: TestDatabase
  before(async () => {
    db = resources.use(await startTestDatabase())
    const { sql } = db
    for (const n of [1, 2]) {
      await sql`insert into model (id, name, created_by) values (${idOf(n)}, ${`m${n}`}, 'x')`
      await sql`
        insert into model_version (id, model, number, state, weights_key, weights_sha256, weights_bytes, manifest_key,
          manifest_sha256, manifest_bytes, created_by)
        values (${idOf(n)}, ${idOf(n)}, 0, 'ready', 'k', 'x', 1, 'k', 'x', 1, 'x')`
    }
    await sql`
      insert into task (id, name, state, model, start_version, current_version, rounds_wanted, settings, seed, created_at,
        created_by)
      select ('01890a5d-ac96-774b-bcce-' || lpad(to_hex(i), 12, '0'))::uuid,
        case when i % 10 = 0 then 'Nightly' else 'try' end || ' ' || i, case when i % 1000 = 0 then 'failed' else 'completed' end,
        v.id, v.id, v.id, 1, '{}', '00', timestamptz '2026-01-01' + make_interval(mins => i),
        case when i = 4711 then 'token:rare' else 'token:script' end
      from generate_series(1, ${tasks}::integer) as i
        join model_version v on v.id = case when i % 5000 = 0 then ${idOf(2)}::uuid else ${idOf(1)}::uuid end`
    await sql`analyze`
  })
  after(() => resources.disposeAsync())

  const filters: Readonly<Record<string, Omit<Query, 'limit'>>> = {
    none: {},
    'state that few have': { state: 'failed' },
    'state that nobody has': { state: 'running' },
    'model that few have': { model: idOf(2) },
    'beginning of many names': { name: 'nightly' },
    'beginning of one name': { name: 'NIGHTLY 9999' },
    'beginning of no name': { name: '%' },
    'creator of one': { createdBy: 'token:rare' },
    'creator of many': { createdBy: 'token:script' },
    time: { from: '2026-02-01T00:00:00Z', to: '2026-02-02T00:00:00Z' },
    'several at once': { state: 'failed', model: idOf(2), name: 'night', createdBy: 'token:script' },
  }
  for (const [what, filter] of Object.entries(filters)) {
    test(`are as fast on the last page as on the first: ${what}`, async () => {
      for (const cursor of [undefined, Buffer.from(JSON.stringify(idOf(200))).toString('base64url')]) {
        const query = { ...filter, limit, cursor } as Query
        const { pages, text } = await explainQuery(db.sql, sql => taskPage(sql, query))
        assert.ok(pages < mostPages, `${pages} pages: ${text}`)
      }
    })
  }

  test('the filters find what they should', async () => {
    const find = async (filter: Omit<Query, 'limit'>) =>
      (await db.sql<{ name: string }[]>`${taskPage(db.sql, { ...filter, limit: 200 })}`).map(({ name }) => name)
    assert.deepEqual((await find({})).slice(0, 2), ['Nightly 100000', 'try 99999'])
    assert.equal((await find({ state: 'failed' })).length, 100)
    assert.equal((await find({ model: idOf(2) })).length, 20)
    assert.deepEqual(await find({ name: 'nIGHTLY 9999' }), ['Nightly 99990'])
    assert.deepEqual(await find({ name: 'ightly' }), [])
    assert.deepEqual(await find({ createdBy: 'token:rare' }), ['try 4711'])
    const day = await find({ from: '2026-02-01T00:00:00Z', to: '2026-02-01T00:02:00Z' })
    // 31 days of 1440 minutes after the first.
    assert.deepEqual(day, ['try 44641', 'Nightly 44640'])
  })
})
