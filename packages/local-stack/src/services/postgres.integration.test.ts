import assert from 'node:assert/strict'
import { test } from 'node:test'
import postgres from 'postgres'
import { startPostgres } from './postgres.ts'
import { testContext } from './testing.ts'

test('Postgres keeps its data over a restart, asks for the password and gives the role no superuser rights', async () => {
  await using context = await testContext()
  {
    await using service = await startPostgres(context)
    const sql = postgres(service.url, { max: 1 })
    await sql`create table river (name text primary key)`
    await sql`insert into river values ('Inn')`
    const [row] = await sql<{ super: string }[]>`select current_setting('is_superuser') as super`
    assert.equal(row?.super, 'off')
    await sql.end()
  }
  await using again = await startPostgres(context)
  const sql = postgres(again.url, { max: 1 })
  assert.deepEqual([...(await sql`select name from river`)], [{ name: 'Inn' }])
  await sql.end()
  const wrong = postgres(again.url.replace(/:[0-9a-f]{48}@/, ':wrong@'), { max: 1 })
  await assert.rejects(wrong`select 1`, /password authentication failed/)
  await wrong.end()
})

test('Postgres starts again after it was killed without warning', async () => {
  await using context = await testContext()
  const first = await startPostgres(context)
  const [pid] = first.processIds()
  assert.ok(pid)
  process.kill(pid, 'SIGKILL')
  const deadline = Date.now() + 20_000
  const answered = async () => {
    const sql = postgres(first.url, { max: 1, connect_timeout: 1 })
    return sql`select 1`
      .then(
        () => first.processIds()[0] !== pid,
        () => false,
      )
      .finally(() => void sql.end({ timeout: 1 }))
  }
  while (!(await answered())) assert.ok(Date.now() < deadline, 'it was not started again')
  const [second] = first.processIds()
  assert.ok(second)
  process.kill(second, 'SIGKILL')
  await first[Symbol.asyncDispose]()
  await using again = await startPostgres(context)
  const sql = postgres(again.url, { max: 1 })
  assert.equal((await sql`select 1 as one`)[0]?.one, 1)
  await sql.end()
})
