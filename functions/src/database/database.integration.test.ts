import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { TributaryError } from '@tributary/contracts/errors'
import { createLog } from '../log.ts'
import { startTestDatabase, type TestDatabase } from '../testing/test-database.ts'
import { Database } from './database.ts'
import { asJson } from './transaction.ts'

suite('the database', { timeout: 60_000 }, () => {
  let db: TestDatabase
  before(async () => {
    db = await startTestDatabase()
    await db.sql`create table thing (id integer primary key, n bigint not null default 0, doc jsonb)`
    await db.sql`insert into thing (id) values (1), (2)`
  })
  after(() => db[Symbol.asyncDispose]())

  const cutConnections = () => db.sql`
    select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tributary-test'`

  test('goes on after its connection was cut while idle', async () => {
    const one = () => db.database.read(sql => sql<{ one: number }[]>`select 1 as one`)
    assert.equal((await one())[0]?.one, 1)
    await cutConnections()
    assert.equal((await one())[0]?.one, 1)
    await cutConnections()
    await db.database.transaction(sql => sql`update thing set n = n + 1 where id = 1`)
    assert.equal((await db.sql`select n from thing where id = 1`)[0]?.n, 1)
  })

  test('opens another connection after twenty seconds without use, as after a freeze', async context => {
    const backend = async () =>
      (await db.database.read(sql => sql<{ pid: number }[]>`select pg_backend_pid() as pid`))[0]?.pid
    const first = await backend()
    context.mock.timers.enable({ apis: ['Date'], now: Date.now() })
    context.mock.timers.setTime(Date.now() + 19_000)
    assert.equal(await backend(), first)
    context.mock.timers.setTime(Date.now() + 21_000)
    assert.notEqual(await backend(), first)
  })

  test('runs a transaction again whose connection was cut in its middle, with one effect', async () => {
    await db.sql`update thing set n = 0`
    let runs = 0
    await db.database.transaction(async sql => {
      runs += 1
      await sql`update thing set n = n + 1 where id = 1`
      if (runs === 1) await cutConnections()
      await sql`update thing set n = n + 1 where id = 2`
    })
    assert.equal(runs, 2)
    assert.deepEqual([...(await db.sql`select n from thing order by id`)], [{ n: 1 }, { n: 1 }])
  })

  test('runs the loser of a deadlock again', async () => {
    await db.sql`update thing set n = 0`
    await using other = new Database({ url: db.url, log: createLog('silent', 'test'), name: 'other' })
    const firstLocks = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const
    let runs = 0
    const cross = (database: Database, first: number, second: number, turn: 0 | 1) =>
      database.transaction(async sql => {
        runs += 1
        await sql`update thing set n = n + 1 where id = ${first}`
        firstLocks[turn].resolve()
        await firstLocks[1 - turn]?.promise
        await sql`update thing set n = n + 1 where id = ${second}`
      })
    await Promise.all([cross(db.database, 1, 2, 0), cross(other, 2, 1, 1)])
    assert.equal(runs, 3)
    assert.deepEqual([...(await db.sql`select n from thing order by id`)], [{ n: 2 }, { n: 2 }])
  })

  test('rolls back on an error and hands it on as it is', async () => {
    await db.sql`update thing set n = 0`
    const refusal = new TributaryError('STATE_CONFLICT')
    let effects = 0
    const work = db.database.transaction(async sql => {
      sql.afterCommit('x', async () => {
        effects += 1
      })
      await sql`update thing set n = 9 where id = 1`
      throw refusal
    })
    await assert.rejects(work, error => error === refusal)
    assert.equal((await db.sql`select n from thing where id = 1`)[0]?.n, 0)
    assert.equal(effects, 0)
  })

  test('runs effects before the commit inside it, and after it once a key, whether they fail or not', async () => {
    await db.sql`update thing set n = 0`
    const seen: unknown[] = []
    const value = await db.database.transaction(async sql => {
      sql.beforeCommit(() => sql`update thing set n = 5 where id = 1`)
      const look = async () => void seen.push((await db.sql`select n from thing where id = 1`)[0]?.n)
      sql.afterCommit('look', look)
      sql.afterCommit('look', look)
      sql.afterCommit('fail', () => Promise.reject(new Error('no relay')))
      return [1, Promise.resolve(2)] as const
    })
    assert.deepEqual(seen, [5])
    assert.equal(await value[1], 2)
  })

  test('keeps jsonb as JSON and gives bigint as numbers', async () => {
    await db.database.transaction(
      sql => sql`update thing set doc = ${sql.json(asJson({ a: [1, 'é'] }))}, n = ${2 ** 53 - 1} where id = 1`,
    )
    const [row] = await db.database.read(sql => sql`select doc, jsonb_typeof(doc) as type, n from thing where id = 1`)
    assert.deepEqual(row, { doc: { a: [1, 'é'] }, type: 'object', n: 9007199254740991 })
  })

  test('says UNAVAILABLE when no database is there', async () => {
    await using nowhere = new Database({
      url: 'postgres://u:p@127.0.0.1:1/x',
      log: createLog('silent', 'test'),
      name: 'x',
    })
    await assert.rejects(
      nowhere.read(sql => sql`select 1`),
      (error: unknown) => error instanceof TributaryError && error.code === 'UNAVAILABLE',
    )
  })
})
