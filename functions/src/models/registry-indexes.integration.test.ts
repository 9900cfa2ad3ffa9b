import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { v7 } from 'uuid'
import { startTestDatabase, type TestDatabase } from '../testing/test-database.ts'
import { referencesTo } from './references-of-version.ts'

suite('the registry finds by index', { timeout: 60_000 }, () => {
  let db: TestDatabase
  before(async () => {
    db = await startTestDatabase()
  })
  after(() => db[Symbol.asyncDispose]())

  const id = v7()
  const queries: [string, RegExp, () => ReturnType<TestDatabase['sql']>][] = [
    [
      'the aliases of a model by name',
      /model_alias_pkey/,
      () => db.sql`select * from model_alias where model = ${id} and alias > 'a' order by alias limit 50`,
    ],
    [
      'the history of an alias',
      /model_alias_change_by_alias/,
      () => db.sql`
        select * from model_alias_change where model = ${id} and alias = 'a' and id < 9 order by id desc limit 50`,
    ],
    [
      'the versions of a task',
      /model_version_by_task/,
      () => db.sql`select * from model_version where task = ${id} order by number desc limit 50`,
    ],
    [
      'the versions of a model in a state',
      /model_version_by_state/,
      () => db.sql`
        select * from model_version where model = ${id} and state = 'ready' and number < 9 order by number desc limit 50`,
    ],
    [
      'deleted versions with files',
      /model_version_tombstones/,
      () => db.sql`
        select * from model_version where state = 'deleted' and objects_removed_at is null
          and deleted_at < now() order by deleted_at limit 20`,
    ],
    [
      'settled attempts with objects',
      /round_attempt_objects_due/,
      () => db.sql`
        select * from round_attempt where settled_at < now() and objects_removed_at is null order by settled_at limit 20`,
    ],
    [
      'what refers to a version',
      /model_alias_by_version.*task_by_start_version.*task_by_current_version.*round_attempt_by_base/s,
      () => db.sql`select r.* from model_version v cross join lateral (${referencesTo(db.sql)}) r where v.id = ${id}`,
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
})
