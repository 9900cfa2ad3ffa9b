import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, suite, test } from 'node:test'
import { systemClock } from '../adapters/clock.ts'
import { Database } from '../database/database.ts'
import { createLog } from '../log.ts'
import { startTestDatabase, type TestDatabase } from '../testing/test-database.ts'
import { createAudit } from './audit.ts'

type Row = { sequence: number; time: Date; detail: { n: number }; previous_hash: Buffer; hash: Buffer }

suite('the audit chain', { timeout: 60_000 }, () => {
  let db: TestDatabase
  before(async () => {
    db = await startTestDatabase()
  })
  after(() => db[Symbol.asyncDispose]())

  test('has no gap and no fork when many write at once, and every hash follows from the one before', async () => {
    const audit = createAudit(systemClock)
    const pools = Array.from(
      { length: 4 },
      () => new Database({ url: db.url, log: createLog('silent', 'a'), name: 'a' }),
    )
    await Promise.all(
      Array.from({ length: 40 }, async (_, n) =>
        pools[n % pools.length]?.transaction(async sql => {
          audit.append(sql, { actor: 'a', action: 'b', subject: 'c', detail: { n } })
          audit.append(sql, { actor: 'a', action: 'b', subject: 'c', detail: { n: n + 100, none: undefined } })
        }),
      ),
    )
    await Promise.all(pools.map(pool => pool[Symbol.asyncDispose]()))
    const rows = await db.sql<
      Row[]
    >`select sequence, time, detail, previous_hash, hash from audit_entry order by sequence`
    assert.equal(rows.length, 80)
    let previous = Buffer.alloc(32)
    for (const [index, row] of rows.entries()) {
      assert.equal(row.sequence, index + 1)
      assert.deepEqual(row.previous_hash, previous)
      const text = `{"action":"b","actor":"a","detail":{"n":${row.detail.n}},"sequence":${row.sequence},"subject":"c","time":"${row.time.toISOString()}"}`
      assert.deepEqual(row.hash, createHash('sha256').update(previous).update(text).digest())
      previous = row.hash
    }
    assert.deepEqual(new Set(rows.map(row => row.detail.n)).size, 80)
  })

  test('keeps no entry of a transaction that was rolled back', async () => {
    const audit = createAudit(systemClock)
    const work = db.database.transaction(async sql => {
      audit.append(sql, { actor: 'lost', action: 'b', subject: 'c' })
      throw new Error('rolled back')
    })
    await assert.rejects(work, /rolled back/)
    assert.equal((await db.sql`select from audit_entry where actor = 'lost'`).length, 0)
  })
})
