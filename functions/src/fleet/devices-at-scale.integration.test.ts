import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { encodeCursor } from '../http/cursor.ts'
import { explainQuery } from '../testing/explain-query.ts'
import { startTestDatabase, type TestDatabase } from '../testing/test-database.ts'
import { devicePage } from './list-devices.ts'
import { participationPage } from './list-participations.ts'

const devices = 100_000
const limit = 50
/** Well above what these look at; a walk over 100 000 devices by index looks at more than 100 000. */
const mostPages = 10_000

suite(`lists of ${devices} devices`, { timeout: 180_000 }, () => {
  const resources = new AsyncDisposableStack()
  let db: TestDatabase
  before(async () => {
    db = resources.use(await startTestDatabase())
    const { sql } = db
    await sql`alter table device disable trigger user`
    await sql`
      insert into region (region, name, shard_count) select name, name, 100 from unnest('{alps,jura}'::text[]) as r (name)`
    const node = '01890a5d-ac96-774b-bcce-b302099a8057'
    await sql`
      insert into regional_node (id, region, name, certificate_sha256, certificate_expires_at, boot, last_seen_at)
      values (${node}, 'alps', 'n', 'x', now() + interval '1 day', ${node}, now())`
    await sql`
      insert into region_shard (region, shard, node, epoch, lease_expires_at)
      select region, shard, ${node}, 1, now() + interval '1 hour' from region, generate_series(0, 99) as shard`
    await sql`
      insert into device (id, region, shard_hash, label, kind, groups, labels, certificate_sha256, certificate_expires_at)
      select ('01890a5d-ac96-774b-bcce-' || lpad(to_hex(i), 12, '0'))::uuid, case when i % 10 = 0 then 'jura' else 'alps' end,
        sha256(i::text::bytea), 'device-' || lpad(i::text, 6, '0'), case when i % 1000 = 0 then 'evaluator' else 'trainer' end,
        case when i % 5000 = 0 then '{rare,all}'::text[] else '{all}' end,
        jsonb_build_object('site', 's' || i % 200, 'rack', i::text), 'x', now() + interval '1 day'
      from generate_series(1, ${devices}::integer) as i`
    await sql`
      insert into device_presence (device, node, boot, region, shard, epoch, online, seen_at, agent_version, frameworks,
        dataset_names, datasets, conditions)
      select id, ${node}, ${node}, region, 1, 1, row_number() over (order by label) % 400 = 0, now(), '0.1.0',
        case when label like '%7777' then '{pytorch}'::text[] else '{onnx}' end,
        case when label like '%8888' then '{seldom}'::text[] else '{mnist}' end, '[]', '{}'
      from device`
    await sql`
      insert into model (id, name, created_by) values (${node}, 'm', 'x')`
    await sql`
      insert into model_version (id, model, number, state, weights_key, weights_sha256, weights_bytes, manifest_key,
        manifest_sha256, manifest_bytes, created_by) values (${node}, ${node}, 0, 'ready', 'k', 'x', 1, 'k', 'x', 1, 'x')`
    await sql`
      insert into task (id, name, state, model, start_version, current_version, rounds_wanted, settings, seed, created_by)
      values (${node}, 't', 'running', ${node}, ${node}, ${node}, 1000, '{}', '00', 'x')`
    await sql`
      insert into round_attempt (task, round, attempt, state, base_version, goal, selected, descriptor, deadline, settled_at)
      select ${node}, round, 1, 'committed', ${node}, 1, 1, '{}', now(), now() from generate_series(1, 1000) as round`
    await sql`
      insert into participation (task, round, attempt, device, region, label, verdict)
      select ${node}, round, 1, d.id, d.region, d.label, 'accepted'
      from generate_series(1, 1000) as round cross join lateral (
        select * from device where label >= 'device-' || lpad((round % 100 * 90)::text, 6, '0') order by label limit 200
      ) d`
    await sql`analyze`
  })
  after(() => resources.disposeAsync())

  const filters = {
    none: {},
    region: { region: 'jura' },
    'region that few have': { region: 'jura', kind: 'evaluator' as const },
    group: { group: 'all' },
    'group that few have': { group: 'rare' },
    label: { label: 'site=s7' },
    'label of one': { label: 'rack=77777' },
    prefix: { prefix: 'device-05' },
    'prefix of one': { prefix: 'device-054321' },
    'prefix of nobody': { prefix: 'x' },
    online: { online: true },
    offline: { online: false },
    'framework that few have': { framework: 'pytorch' },
    dataset: { dataset: 'mnist' },
    'data set that few have': { dataset: 'seldom' },
    'data set that nobody has': { dataset: 'nothing' },
    'not revoked': { revoked: false },
    'several at once': { region: 'alps', group: 'all', online: true, dataset: 'mnist', prefix: 'device-0' },
  }
  for (const [what, filter] of Object.entries(filters)) {
    test(`come by index, as fast on the last page as on the first: ${what}`, async () => {
      const cursor = encodeCursor(['device-090000', '01890a5d-ac96-774b-bcce-000000015f90'])
      for (const query of [
        { ...filter, limit },
        { ...filter, limit, cursor },
      ]) {
        const { nodes, pages, text } = await explainQuery(db.sql, sql => devicePage(sql, query))
        const walks = nodes.filter(
          ({ 'Node Type': type, 'Relation Name': relation }) =>
            type === 'Seq Scan' && (relation === 'device' || relation === 'device_presence'),
        )
        assert.deepEqual(walks, [], text)
        assert.ok(pages < mostPages, `${pages} pages: ${text}`)
      }
    })
  }

  test('the filters find what they should', async () => {
    const { sql } = db
    const find = async (filter: object) =>
      (await sql<{ label: string; online: boolean }[]>`${devicePage(sql, { ...filter, limit: 200 })}`).map(
        ({ label }) => label,
      )
    assert.deepEqual(await find({ label: 'rack=77777' }), ['device-077777'])
    assert.deepEqual(await find({ prefix: 'device-054321' }), ['device-054321'])
    assert.deepEqual(await find({ prefix: 'evice' }), [])
    assert.equal((await find({ group: 'rare' })).length, 20)
    assert.deepEqual((await find({ framework: 'pytorch' })).slice(0, 2), ['device-007777', 'device-017777'])
    assert.equal((await find({ online: true })).length, 201)
    assert.equal((await find({ online: true, region: 'alps' })).length, 0)
    assert.equal((await find({ kind: 'evaluator' })).length, 100)
    assert.equal((await find({ label: 'site=s7', prefix: 'device-0000' })).length, 1)
  })

  test('the history of a device comes by index from 200 000 rows, newest first', async () => {
    const device = '01890a5d-ac96-774b-bcce-000000001388'
    const { nodes, pages, text } = await explainQuery(db.sql, sql => participationPage(sql, device, null, limit))
    assert.ok(
      nodes.some(({ 'Index Name': index }) => index === 'participation_by_device'),
      text,
    )
    assert.ok(pages < mostPages, `${pages} pages: ${text}`)
    const { sql } = db
    const rows = await sql<{ round: number }[]>`${participationPage(sql, device, null, 2)}`
    const all = await sql<
      { round: number }[]
    >`select round from participation where device = ${device} order by round desc`
    assert.ok(all.length > 2)
    assert.deepEqual(
      rows.map(({ round }) => round),
      all.slice(0, 3).map(({ round }) => round),
    )
  })
})
