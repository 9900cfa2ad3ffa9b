import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { explainQuery } from '../../testing/explain-query.ts'
import { startTestDatabase, type TestDatabase } from '../../testing/test-database.ts'
import { type ParticipantFilters, type ParticipantPosition, participantsPage } from './participants-page.ts'

type Row = { round: number; attempt: number; device: string; region: string; verdict: string; code: string | null }

const rounds = 100
const devices = 10_000
const limit = 50
/** Far above what these look at, far below a walk over a million rows. */
const mostPages = 3_000
const idOf = (n: number): string => `01890a5d-ac96-774b-bcce-${n.toString(16).padStart(12, '0')}`
const task = idOf(1)

suite('participants of a task with a million parts', { timeout: 180_000 }, () => {
  const resources = new AsyncDisposableStack()
  let db: TestDatabase
  before(async () => {
    db = resources.use(await startTestDatabase())
    const { sql } = db
    await sql`insert into model (id, name, created_by) values (${task}, 'm', 'x')`
    await sql`
      insert into model_version (id, model, number, state, weights_key, weights_sha256, weights_bytes, manifest_key,
        manifest_sha256, manifest_bytes, created_by) values (${task}, ${task}, 0, 'ready', 'k', 'x', 1, 'k', 'x', 1, 'x')`
    await sql`
      insert into task (id, name, state, model, start_version, current_version, rounds_wanted, settings, seed, created_by)
      values (${task}, 't', 'running', ${task}, ${task}, ${task}, 1000, '{}', '00', 'x')`
    await sql`
      insert into round_attempt (task, round, attempt, state, base_version, goal, selected, descriptor, deadline, settled_at)
      select ${task}, round, 1, 'committed', ${task}, 1, 1, '{}', now(), now() from generate_series(1, ${rounds}::integer) as round`
    // What is asked for here is reading; an index that is there before a million rows makes writing them slow.
    const later = ['participation_by_device', 'participation_by_code', 'participation_not_accepted']
    const definitions = await sql<{ indexdef: string }[]>`
      select indexdef from pg_indexes where indexname in ${sql(later)}`
    for (const name of later) await sql`drop index ${sql(name)}`
    // `jura` is there in round 90 only; one device in a thousand fails.
    await sql`
      insert into participation (task, round, attempt, device, region, label, verdict, code, examples, bytes)
      select ${task}, round, 1, ('01890a5d-ac96-774b-bcce-' || lpad(to_hex(d), 12, '0'))::uuid,
        case when round = 90 and d % 500 = 0 then 'jura' else 'alps' end, 'device-' || d,
        case when d % 1000 = 0 then 'failed' when d % 10 = 0 then 'no-show' else 'accepted' end,
        case when d % 1000 = 0 then 'DATASET_UNUSABLE' end, 1, 2
      from generate_series(1, ${rounds}::integer) as round cross join generate_series(1, ${devices}::integer) as d`
    for (const { indexdef } of definitions) await sql.unsafe(indexdef)
    await sql`analyze`
  })
  after(() => resources.disposeAsync())

  const page = (filters: ParticipantFilters, after: ParticipantPosition | null = null) =>
    db.sql<Row[]>`${participantsPage(db.sql, { task, filters, after, limit })}`

  const filtersByName: Readonly<Record<string, readonly [ParticipantFilters, index: string]>> = {
    everybody: [{}, 'participation_pkey'],
    'one round': [{ round: 90 }, 'participation_pkey'],
    'one attempt': [{ round: 90, attempt: 1 }, 'participation_pkey'],
    'a region': [{ region: 'alps' }, 'participation_pkey'],
    'a region that was there in one round': [{ region: 'jura' }, 'participation_pkey'],
    'a region that was never there': [{ region: 'atlantis' }, 'participation_pkey'],
    accepted: [{ verdict: 'accepted' }, 'participation_pkey'],
    'a verdict that few have': [{ verdict: 'failed' }, 'participation_not_accepted'],
    'a verdict that nobody has': [{ verdict: 'late' }, 'participation_not_accepted'],
    'a code': [{ code: 'DATASET_UNUSABLE' }, 'participation_by_code'],
    'a code that nobody has': [{ code: 'NOT_FINITE' }, 'participation_by_code'],
    'a device': [{ device: idOf(4711) }, 'participation_by_device'],
    'several at once': [{ region: 'jura', verdict: 'failed', round: 90 }, 'participation_not_accepted'],
  }
  for (const [what, [filters, index]] of Object.entries(filtersByName)) {
    test(`come by index, as fast on the last page as on the first: ${what}`, async () => {
      for (const after of [null, [89, 1, idOf(9000)]] as const) {
        const { nodes, pages, text } = await explainQuery(db.sql, sql =>
          participantsPage(sql, { task, filters, after, limit }),
        )
        const walks = nodes.filter(
          ({ 'Node Type': type, 'Relation Name': relation }) => type === 'Seq Scan' && relation === 'participation',
        )
        assert.deepEqual(walks, [], text)
        assert.ok(
          nodes.some(node => node['Index Name'] === index),
          text,
        )
        assert.ok(pages < mostPages, `${pages} pages: ${text}`)
      }
    })
  }

  test('the filters find what they should, page after page', async () => {
    const all = async (filters: ParticipantFilters) => {
      const rows: Row[] = []
      for (let after: ParticipantPosition | null = null; ; ) {
        const found = await page(filters, after)
        rows.push(...found.slice(0, limit))
        const last = rows.at(-1)
        if (found.length <= limit || last === undefined) return rows
        after = [last.round, last.attempt, last.device]
      }
    }
    const failed = await all({ verdict: 'failed' })
    assert.equal(failed.length, (rounds * devices) / 1000)
    assert.deepEqual(
      failed.slice(0, 2).map(({ round, device }) => [round, device]),
      [
        [1, idOf(1000)],
        [1, idOf(2000)],
      ],
    )
    assert.deepEqual(await all({ code: 'DATASET_UNUSABLE' }), failed)
    assert.equal((await all({ region: 'jura' })).length, devices / 500)
    assert.equal((await all({ region: 'jura', verdict: 'failed' })).length, devices / 1000)
    assert.deepEqual(await all({ region: 'jura', round: 89 }), [])
    assert.equal((await all({ device: idOf(7), verdict: 'accepted' })).length, rounds)
    assert.equal((await all({ round: 3, verdict: 'no-show' })).length, devices / 10 - devices / 1000)
  })

  test('are counted as they come in, and not again when a list is taken in twice', async () => {
    const { sql } = db
    const counts = () => sql`
      select verdict, sum(devices)::integer as devices, sum(bytes)::integer as bytes from participation_count
      where task = ${task} group by verdict order by verdict`
    const before = await counts()
    assert.deepEqual(
      [...before],
      [
        { verdict: 'accepted', devices: 900_000, bytes: 1_800_000 },
        { verdict: 'failed', devices: 1000, bytes: 2000 },
        { verdict: 'no-show', devices: 99_000, bytes: 198_000 },
      ],
    )
    await sql`
      insert into participation (task, round, attempt, device, region, label, verdict)
      select task, round, attempt, device, region, label, 'late' from participation where task = ${task} and round = 1
      on conflict do nothing`
    assert.deepEqual(await counts(), before)
  })
})
