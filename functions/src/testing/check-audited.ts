import type { RouteName } from '@tributary/contracts/routes'
import type { Transaction } from '../database/transaction.ts'

/** Rows that are no state of the platform: what is kept of a request, and messages that tell of a change. */
const exempt: ReadonlySet<string> = new Set(['idempotency', 'outbox'])

/**
 * Holds a mutating request to invariant I13: if its transaction changed a row anywhere, it also wrote an audit entry. Postgres
 * itself counts what was changed, so no handler can forget to say.
 */
export const checkAudited = async (sql: Transaction, route: RouteName): Promise<void> => {
  const before = await changesSoFar(sql)
  // Registered last of all: entries are written before the commit too.
  sql.beforeCommit(async () => {
    sql.beforeCommit(async () => {
      const now = await changesSoFar(sql)
      const changed = [...now].filter(([table, count]) => count > (before.get(table) ?? 0)).map(([table]) => table)
      const others = changed.filter(table => table !== 'audit_entry' && !exempt.has(table))
      if (others.length > 0 && !changed.includes('audit_entry')) {
        throw new Error(`${route} changed ${others.join(', ')} without an audit entry`)
      }
    })
  })
}

const changesSoFar = async (sql: Transaction): Promise<ReadonlyMap<string, number>> => {
  const rows = await sql<{ relname: string; changes: number }[]>`
    select relname, n_tup_ins + n_tup_upd + n_tup_del as changes from pg_stat_xact_user_tables
    where n_tup_ins + n_tup_upd + n_tup_del > 0`
  return new Map(rows.map(({ relname, changes }) => [relname, changes]))
}
