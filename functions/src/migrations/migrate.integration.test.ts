import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import postgres from 'postgres'
import { startTestDatabase, type TestDatabase } from '../testing/test-database.ts'
import { MigrationError, migrate } from './migrate.ts'

suite('migrations', { timeout: 60_000 }, () => {
  let db: TestDatabase
  let folder: string
  before(async () => {
    db = await startTestDatabase()
    folder = await mkdtemp(join(tmpdir(), 'tributary-migrations-'))
  })
  after(async () => {
    await db[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })

  test('are applied once, in order, also when four processes start at once', async () => {
    const databaseUrl = await db.createEmpty()
    const applied = await Promise.all(Array.from({ length: 4 }, () => migrate({ databaseUrl })))
    const names = applied.flat()
    assert.equal(names[0], '0001-initial.sql')
    assert.equal(new Set(names).size, names.length)
    assert.deepEqual(await migrate({ databaseUrl }), [])
    const sql = postgres(databaseUrl, { max: 1 })
    const unseen = await sql`select conname from pg_constraint where not convalidated`
    assert.deepEqual([...unseen], [], 'what was added without a look at the rows is looked at in the end')
    await sql.end()
  })

  test('leave nothing of a file that fails, and go on when it is mended', async () => {
    const databaseUrl = await db.createEmpty()
    await writeFile(join(folder, '0001-a.sql'), 'create table a (x integer);')
    await writeFile(join(folder, '0002-b.sql'), 'create table b (x integer); create table a (x integer);')
    await assert.rejects(migrate({ databaseUrl, folder }), /already exists/)
    await writeFile(join(folder, '0002-b.sql'), 'create table b (x integer);')
    assert.deepEqual(await migrate({ databaseUrl, folder }), ['0002-b.sql'])
    const sql = postgres(databaseUrl, { max: 1 })
    assert.equal((await sql`select count(*)::int as n from b`)[0]?.n, 0)
    await sql.end()
  })

  test('refuse a database that has seen another text, a removed file or one put in between', async () => {
    const databaseUrl = await db.createEmpty()
    await migrate({ databaseUrl, folder })
    await writeFile(join(folder, '0001-a.sql'), 'create table a (y integer);')
    await assert.rejects(migrate({ databaseUrl, folder }), {
      name: 'MigrationError',
      message: /^0001-a\.sql was applied here with other content: run the code that applied it, or begin with an empty/,
    })
    await rm(join(folder, '0001-a.sql'))
    await assert.rejects(migrate({ databaseUrl, folder }), MigrationError)
    await writeFile(join(folder, '0001-a.sql'), 'create table a (x integer);')
    await writeFile(join(folder, '0001-b.sql'), 'create table c (x integer);')
    await assert.rejects(migrate({ databaseUrl, folder }), MigrationError)
  })
})
