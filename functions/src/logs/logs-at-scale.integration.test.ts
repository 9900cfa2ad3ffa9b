import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { explainQuery } from '../testing/explain-query.ts'
import { startTestDatabase, type TestDatabase } from '../testing/test-database.ts'
import { type LogFilters, logRows, spanOfTime, walkLogs } from './log-walk.ts'

const entries = 400_000
const limit = 50
/** Above what a walk through 20 000 entries looks at, below one through all of them. */
const mostPages = 5_500
const idOf = (n: number): string => `01890a5d-ac96-774b-bcce-${n.toString(16).padStart(12, '0')}`
/** Half of all entries are about it, so that a planner may think of going through all. */
const task = idOf(0)

suite(`${entries} log entries`, { timeout: 120_000 }, () => {
  const resources = new AsyncDisposableStack()
  let db: TestDatabase
  before(async () => {
    db = resources.use(await startTestDatabase())
    await db.sql`
      insert into log_entry (time, received_at, level, region, node, task, round, device, code, message)
      select timestamptz '2026-01-01' + make_interval(secs => i), timestamptz '2026-01-01' + make_interval(secs => i),
        case when i % 20000 = 0 then 'error' when i % 1000 = 0 then 'warn' else 'info' end, 'region-' || i % 4,
        ('01890a5d-ac96-774b-bcce-' || lpad(to_hex(i % 8), 12, '0'))::uuid,
        ('01890a5d-ac96-774b-bcce-' || lpad(to_hex(case when i % 2 = 0 then 0 else i % 100 end), 12, '0'))::uuid, i / 1000,
        case when i % 5 = 0 then ('01890a5d-ac96-774b-bcce-' || lpad(to_hex(i % 40000), 12, '0'))::uuid end,
        case when i % 20000 = 0 then 'NODE_FULL' end, 'entry ' || i
      from generate_series(1, ${entries}::integer) as i`
    await db.sql`analyze log_entry`
  })
  after(() => resources.disposeAsync())

  const filters: Readonly<Record<string, readonly [Partial<LogFilters>, index: string]>> = {
    everything: [{}, 'log_entry_pkey'],
    'a task': [{ task }, 'log_entry_by_task'],
    'a device': [{ device: idOf(100) }, 'log_entry_by_device'],
    'a device in a task': [{ task, device: idOf(100) }, 'log_entry_by_device'],
    trouble: [{ level: 'warn' }, 'log_entry_trouble'],
    'trouble of a task': [{ task, level: 'error' }, 'log_entry_trouble'],
    'a region': [{ region: 'region-3' }, 'log_entry_by_region'],
    'words that nobody wrote in a region': [{ region: 'region-3', q: 'nothing' }, 'log_entry_by_region'],
    'a region that says nothing': [{ region: 'region-99' }, 'log_entry_by_region'],
    'a node': [{ node: idOf(2) }, 'log_entry_by_node'],
    'words that nobody wrote on a node': [{ node: idOf(3), q: 'nothing' }, 'log_entry_by_node'],
    'a node that says nothing': [{ node: idOf(999) }, 'log_entry_by_node'],
    'trouble of a region': [{ region: 'region-3', level: 'warn' }, 'log_entry_trouble'],
    'a region in a task': [{ task, region: 'region-3' }, 'log_entry_by_task'],
    'a round long ago': [{ task, round: 3 }, 'log_entry_by_task'],
    'words that nobody wrote': [{ task, q: 'nothing' }, 'log_entry_by_task'],
    'a task that few entries are about': [{ task: idOf(7), q: 'nothing' }, 'log_entry_by_task'],
    'a task that none is about': [{ task: idOf(1000) }, 'log_entry_by_task'],
  }
  for (const [what, [filter, index]] of Object.entries(filters)) {
    for (const order of ['newest', 'oldest'] as const) {
      test(`are looked through by index and within bounds, ${order} first: ${what}`, async () => {
        const walk = { order, above: 0, upTo: entries, limit }
        const { nodes, pages, text } = await explainQuery(db.sql, sql =>
          logRows(sql, { level: 'debug', ...filter }, walk),
        )
        assert.ok(
          nodes.some(node => node['Index Name']?.startsWith(index)),
          text,
        )
        // A few are sorted as well as met in order.
        const many = nodes.filter(
          node => node['Node Type'] === 'Seq Scan' || (node['Node Type'] === 'Sort' && node['Actual Rows'] > 1000),
        )
        assert.deepEqual(many, [], text)
        assert.ok(pages < mostPages, `${pages} pages: ${text}`)
      })
    }
  }

  test('by time are found without going through what came after', async () => {
    const found: LogFilters = { task, level: 'debug', from: '2026-01-03T01:00:00Z', to: '2026-01-03T01:00:10Z' }
    const span = await spanOfTime(db.sql, found)
    // A day before the first, and a day after the last: second 90 000 to 262 810 of the year.
    assert.deepEqual(span, { above: 89_999, upTo: 262_810 })
    const { rows } = await walkLogs(db.sql, found, { order: 'oldest', limit, above: 170_000, upTo: span.upTo })
    assert.deepEqual(
      rows.map(({ message }) => message),
      [176_400, 176_402, 176_404, 176_406, 176_408].map(n => `entry ${n}`),
    )
  })
})
