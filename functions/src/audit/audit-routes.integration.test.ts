import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { AuditEntryView, AuditVerification } from '@tributary/contracts/audit'
import type postgres from 'postgres'
import { systemClock } from '../adapters/clock.ts'
import { platformHandlers } from '../platform/platform-handlers.ts'
import { testApi, testParts, tokens } from '../testing/test-api.ts'
import { startTestDatabase, type TestDatabase } from '../testing/test-database.ts'
import { createAudit } from './audit.ts'
import { auditRows } from './list-audit.ts'
import { verifyExport } from './verify-export.ts'

const token = tokens.admin
const script = fileURLToPath(new URL('../../../tools/verify-audit.ts', import.meta.url))
const run = promisify(execFile)
const entries = 2500

suite('the audit trail', { timeout: 120_000 }, () => {
  const resources = new AsyncDisposableStack()
  let db: TestDatabase
  let api: ReturnType<typeof testApi>
  before(async () => {
    db = resources.use(await startTestDatabase())
    api = testApi('platform', platformHandlers(testParts(db.database)), { database: db.database })
    const audit = createAudit(systemClock)
    await db.database.transaction(async sql => {
      for (let n = 1; n <= entries; n += 1) {
        const actor = n % 2 === 0 ? 'token:even' : 'token:odd'
        const detail = { n, text: 'ä\u2028"', nested: { b: [1.5, null], a: true } }
        audit.append(sql, {
          actor,
          action: n % 5 === 0 ? 'task.created' : 'task.paused',
          subject: `task/${n % 7}`,
          detail,
        })
      }
    })
    await db.sql`create table untouched as select * from audit_entry`
    await db.sql`analyze`
  })
  after(() => resources.disposeAsync())

  const list = async (query: string): Promise<AuditEntryView[]> => {
    const found: AuditEntryView[] = []
    for (let cursor = ''; ; ) {
      const { status, body } = await api('GET', '/v1/audit', { token, query: `limit=200&${query}${cursor}` })
      assert.equal(status, 200, JSON.stringify(body))
      found.push(...body.items)
      if (body.next === null) return found
      cursor = `&cursor=${body.next}`
    }
  }
  const exported = async (): Promise<string[]> => {
    const lines: string[] = []
    for (;;) {
      const last = lines.at(-1)
      const after = last === undefined ? 0 : JSON.parse(last).sequence
      const { body, headers } = await api('GET', '/v1/audit/export', { token, query: `after=${after}` })
      assert.equal(headers['content-type'], 'application/x-ndjson')
      if (body === '') return lines
      lines.push(...(body as string).trimEnd().split('\n'))
    }
  }
  const verify = async (query = ''): Promise<AuditVerification> =>
    (await api('GET', '/v1/audit/verify', { token, query })).body
  const restore = async () => {
    await db.sql`truncate audit_entry`
    await db.sql`insert into audit_entry select * from untouched`
  }

  test('is listed newest first, by actor, action, subject and time together, each entry once', async () => {
    const all = await list('')
    assert.deepEqual(
      all.map(({ sequence }) => sequence),
      Array.from({ length: entries }, (_, index) => entries - index),
    )
    const fitting = await list(`actor=token:even&action=task.created&subject=task/${10 % 7}`)
    const wanted = Array.from({ length: entries }, (_, index) => index + 1).filter(n => n % 10 === 0 && n % 7 === 3)
    assert.deepEqual(
      fitting.map(({ sequence }) => sequence),
      wanted.reverse(),
    )
    const time = all[0]?.time ?? ''
    const later = new Date(Date.parse(time) + 1).toISOString()
    assert.equal((await list(`from=${time}&to=${later}`)).length, entries)
    assert.equal((await list(`to=${time}`)).length, 0)
  })

  test('is found by an index whatever is asked, and a deep page costs what the first one does', async () => {
    const plan = async (filters: Parameters<typeof auditRows>[1], before: number | null) => {
      const rows = await db.sql.begin(async sql => {
        await sql`set local enable_seqscan = off`
        const text = explained(sql, filters, before)
        return text
      })
      return rows.map(row => row['QUERY PLAN']).join('\n')
    }
    const explained = async (
      sql: postgres.TransactionSql,
      filters: Parameters<typeof auditRows>[1],
      before: number | null,
    ) => sql<Record<string, string>[]>`explain ${auditRows(sql, filters, before, 51)}`
    assert.match(await plan({}, 1000), /Index Scan Backward using audit_entry_pkey/)
    assert.match(await plan({ actor: 'nobody' }, 1000), /Index Cond: \(\(actor = .*\) AND \(sequence < /)
    assert.match(await plan({ subject: 'task/none' }, null), /audit_entry_by_subject/)
    assert.match(await plan({ action: 'none.such' }, null), /audit_entry_by_action/)
    assert.match(await plan({ to: '2020-01-01T00:00:00Z' }, null), /audit_entry_by_time/)
    for (const filters of [{}, { actor: 'token:odd' }]) assert.doesNotMatch(await plan(filters, 1000), /Sort/)
  })

  test('verifies as a whole and in stretches, by the route and from an export', async () => {
    const whole = await verify()
    assert.deepEqual(
      [whole.valid, whole.from, whole.to, whole.next, whole.head.sequence],
      [true, 1, entries, null, entries],
    )
    const first = await verify('most=1000')
    assert.deepEqual([first.valid, first.to, first.next], [true, 1000, 1001])
    const second = await verify('from=1001&most=1500')
    assert.deepEqual([second.valid, second.to, second.next, second.head], [true, entries, null, whole.head])
    const beyond = await verify(`from=${entries + 1}`)
    assert.deepEqual([beyond.valid, beyond.to, beyond.next], [true, entries, null])
    assert.equal((await api('GET', '/v1/audit/verify', { token, query: `from=${entries + 2}` })).status, 404)
    assert.deepEqual(await verifyExport(await exported(), { head: whole.head }), {
      valid: true,
      from: 1,
      to: whole.head,
      fault: null,
    })
  })

  const tamperings: readonly [what: string, statement: string, at: number, fault: string][] = [
    ['changed', `update audit_entry set actor = 'token:other' where sequence = 700`, 700, 'changed'],
    [
      'changed in its detail',
      `update audit_entry set detail = detail || '{"n": 0}' where sequence = 1200`,
      1200,
      'changed',
    ],
    ['changed in its time', `update audit_entry set time = time + interval '1 ms' where sequence = 1`, 1, 'changed'],
    ['removed', `delete from audit_entry where sequence = 1500`, 1500, 'missing'],
    [
      'removed, with the others moved up',
      `delete from audit_entry where sequence = 9;
      update audit_entry set sequence = -sequence where sequence > 9; update audit_entry set sequence = -sequence - 1 where sequence < 0`,
      9,
      'unlinked',
    ],
    [
      'inserted',
      `update audit_entry set sequence = -sequence where sequence >= 20;
      update audit_entry set sequence = 1 - sequence where sequence < 0;
      insert into audit_entry select 20, time, actor, action, subject, detail, previous_hash, hash from audit_entry where sequence = 19`,
      20,
      'unlinked',
    ],
    [
      'in another order',
      `update audit_entry set sequence = -1 where sequence = 30; update audit_entry set sequence = 30 where sequence = 31;
      update audit_entry set sequence = 31 where sequence = -1`,
      30,
      'unlinked',
    ],
  ]
  for (const [what, statement, at, fault] of tamperings) {
    test(`an entry that was ${what} is found, by the route and in an export`, async () => {
      const { head } = await verify()
      await db.sql.unsafe(statement)
      const found = await verify()
      const lines = await exported()
      await restore()
      assert.deepEqual([found.valid, found.brokenAt, found.fault, found.next], [false, at, fault, null])
      assert.deepEqual((await verifyExport(lines, { head })).fault, { sequence: at, fault })
    })
  }

  test('a chain that was cut at its end, or written anew, is found by a head that was noted before', async () => {
    const { head } = await verify()
    const lines = await exported()
    const cut = await verifyExport(lines.slice(0, -10), { head })
    assert.deepEqual(cut.fault, { sequence: entries - 9, fault: 'truncated' })
    assert.equal((await verifyExport(lines.slice(0, -10))).valid, true, 'nothing in the chain tells')
    const other = { sequence: 100, hash: 'a'.repeat(64) }
    assert.deepEqual((await verifyExport(lines, { head: other })).fault, { sequence: 100, fault: 'replaced' })
    assert.equal((await verifyExport(lines.slice(1000))).fault?.fault, 'missing')
    assert.equal((await verifyExport(lines.slice(1000), { from: 1001, head })).valid, true)
    assert.deepEqual((await verifyExport(['{}'])).fault, { sequence: 1, fault: 'unreadable' })
  })

  test('the command verifies an export offline and tells the head', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tributary-audit-'))
    try {
      const { head } = await verify()
      const lines = await exported()
      const file = join(folder, 'export.ndjson')
      await writeFile(file, `${lines.join('\n')}\n`)
      const args = [script, '--file', file, '--head', `${head.sequence}:${head.hash}`]
      const { stdout } = await run(process.execPath, args)
      assert.match(
        stdout,
        new RegExp(`^entries 1 to ${entries} are as they were written\n${head.sequence}:${head.hash}\n$`),
      )
      await writeFile(file, lines.toSpliced(41, 1).join('\n'))
      const broken = await run(process.execPath, args).catch((error: { code: number; stdout: string }) => error)
      assert.deepEqual(
        [(broken as { code?: number }).code, broken.stdout.split('\n')[0]],
        [1, 'broken at entry 42: missing'],
      )
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})
