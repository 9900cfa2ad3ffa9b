import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { TributaryError } from '@tributary/contracts/errors'
import { createLog } from '../log.ts'
import { startEndingProxy } from '../testing/ending-proxy.ts'
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

  test('survives that new connections are ended at their first statement, as by a failover', async () => {
    await using proxy = await startEndingProxy(Number(new URL(db.url).port), 3)
    const url = new URL(db.url)
    url.host = `127.0.0.1:${proxy.port}`
    await using other = new Database({ url: url.href, log: createLog('silent', 'test'), name: 'other' })
    await db.sql`update thing set n = 0`
    await other.transaction(sql => sql`update thing set n = n + 1 where id = 1`)
    assert.equal(proxy.ended(), 3)
    assert.equal((await db.sql`select n from thing where id = 1`)[0]?.n, 1)
  })

  test('lets no work write that goes on after its transaction was rolled back', async () => {
    await db.sql`update thing set n = 0`
    const ended = Promise.withResolvers<void>()
    const late = Promise.withResolvers<unknown>()
    const refusal = new TributaryError('STATE_CONFLICT')
    const work = db.database.transaction(sql => {
      late.resolve(ended.promise.then(() => sql`update thing set n = 9 where id = 1`))
      return Promise.all([late.promise, Promise.reject(refusal)])
    })
    await assert.rejects(work, error => error === refusal)
    ended.resolve()
    await assert.rejects(late.promise, /after the end of its transaction/)
    assert.equal((await db.sql`select n from thing where id = 1`)[0]?.n, 0)
  })

  test('lets no work write that goes on after its connection was lost', async () => {
    await db.sql`update thing set n = 0`
    const again = Promise.withResolvers<void>()
    const late: Promise<unknown>[] = []
    await db.database.transaction(async sql => {
      const first = late.length === 0
      const rest = async () => {
        if (first) {
          await cutConnections()
          await again.promise
        }
        await sql`update thing set n = n + 1 where id = 1`
      }
      late.push(rest())
      await late.at(-1)
    })
    again.resolve()
    await assert.rejects(late[0] as Promise<unknown>, /after the end of its transaction/)
    assert.equal(late.length, 2)
    assert.equal((await db.sql`select n from thing where id = 1`)[0]?.n, 1)
  })

  test('keeps the connection that followed a lost one when work of the lost one fails late', async () => {
    const backend = async () =>
      (await db.database.read(sql => sql<{ pid: number }[]>`select pg_backend_pid() as pid`))[0]?.pid
    const fail = Promise.withResolvers<never>()
    let runs = 0
    const late = db.database.read(async () => {
      runs += 1
      if (runs === 1) await fail.promise
    })
    db.database.discard()
    const next = await backend()
    fail.reject(Object.assign(new Error('cut'), { code: 'CONNECTION_CLOSED' }))
    await late
    assert.equal(runs, 2)
    assert.equal(await backend(), next)
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

  test('keeps text arrays as arrays, whatever their members hold', async () => {
    const members = ['', 'a b', 'c,d', '{e}', 'say "x"', String.raw`back\slash`, 'NULL', 'é\n', null]
    const [row] = await db.database.read(
      sql => sql`select ${members}::text[] as members, array[]::text[] as none, (${members}::text[])[6] as sixth`,
    )
    assert.deepEqual(row, { members, none: [], sixth: 'back\\slash' })
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
