import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { v7 } from 'uuid'
import { encodeCursor } from '../http/cursor.ts'
import { startTestDatabase, type TestDatabase } from '../testing/test-database.ts'
import { countsByRegion } from './count-devices.ts'
import { deploymentDevicePage } from './list-deployment-devices.ts'
import { deploymentPage } from './list-deployments.ts'

suite('deployments are found by index', { timeout: 60_000 }, () => {
  let db: TestDatabase
  before(async () => {
    db = await startTestDatabase()
  })
  after(() => db[Symbol.asyncDispose]())

  const id = v7()
  const cursor = encodeCursor(id)
  const queries: [string, RegExp, () => ReturnType<TestDatabase['sql']>][] = [
    ['the newest', /deployment_pkey/, () => db.sql`${deploymentPage(db.sql, { limit: 50, cursor })}`],
    [
      'those of a model',
      /deployment_by_model/,
      () => db.sql`${deploymentPage(db.sql, { limit: 50, model: id, cursor })}`,
    ],
    [
      'those of a version',
      /deployment_by_version/,
      () => db.sql`${deploymentPage(db.sql, { limit: 50, version: id, cursor })}`,
    ],
    [
      'those in a state',
      /deployment_by_state/,
      () => db.sql`${deploymentPage(db.sql, { limit: 50, state: 'superseded', cursor })}`,
    ],
    [
      'devices of a deployment',
      /deployment_device_pkey/,
      () => db.sql`${deploymentDevicePage(db.sql, id, { limit: 50, cursor })}`,
    ],
    [
      'devices in a state',
      /deployment_device_by_state/,
      () => db.sql`${deploymentDevicePage(db.sql, id, { limit: 50, state: 'serving', cursor })}`,
    ],
    [
      'counts by region',
      /Index Only Scan using deployment_device_counts/,
      () => db.sql`${countsByRegion(db.sql, { id, revision: 1 })}`,
    ],
    [
      'what is to be looked at',
      /deployment_look/,
      () => db.sql`select id from deployment where look_at <= now() limit 50`,
    ],
    [
      'what is live',
      /deployment_live/,
      () => db.sql`
        select id from deployment where state in ('rolling-out', 'paused', 'released') and 'north' = any(regions)
        order by id desc limit 100`,
    ],
  ]
  for (const [what, index, query] of queries) {
    test(what, async () => {
      const plan = await db.sql.begin(async sql => {
        // Tables are empty here, where the planner would rather read them whole.
        await sql`set local enable_seqscan = off`
        await sql`set local enable_bitmapscan = off`
        return sql<{ 'QUERY PLAN': string }[]>`explain ${query()}`
      })
      const text = plan.map(row => row['QUERY PLAN']).join('\n')
      assert.match(text, index)
      assert.doesNotMatch(text, /Seq Scan/)
    })
  }

  test('a list goes on where the page before ended, through every deployment once', async () => {
    const { sql } = db
    const [model, version] = [v7(), v7()]
    await sql`insert into model (id, name, created_by) values (${model}, 'm', 'test')`
    await sql`
      insert into model_version (id, model, number, state, weights_key, weights_sha256, weights_bytes, manifest_key,
        manifest_sha256, manifest_bytes, created_by)
      values (${version}, ${model}, 0, 'ready', 'w', 'w', 1, 'm', 'm', 1, 'test')`
    await sql`
      insert into deployment (id, model, version, state, target, regions, stages, share, health, automatic_roll_back, created_by)
      select ('01890a5d-ac96-774b-bcce-' || lpad(to_hex(i), 12, '0'))::uuid, ${model}, ${version}, 'superseded', '{}', '{}',
        '[]', 0, '{}', true, 'test' from generate_series(1, 25) i`
    const seen: string[] = []
    for (let at: string | undefined; ; ) {
      const rows = await sql<{ id: string }[]>`${deploymentPage(sql, { limit: 10, model, ...(at && { cursor: at }) })}`
      const page = rows.slice(0, 10).map(row => row.id)
      seen.push(...page)
      if (rows.length <= 10) break
      at = encodeCursor(page.at(-1))
    }
    assert.equal(seen.length, 25)
    assert.deepEqual(seen, [...new Set(seen)].sort().reverse())
  })
})
