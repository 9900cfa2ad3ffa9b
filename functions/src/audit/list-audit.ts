import * as z from 'zod'
import type { Context } from '../context.ts'
import type { Sql } from '../database/transaction.ts'
import { decodeCursor, pageOf } from '../http/cursor.ts'
import type { Handler, RouteRequest } from '../http/handler.ts'
import { type AuditRow, auditViewOf } from './audit-view.ts'

const Position = z.int().positive()

/** The audit trail, newest first. */
export const listAudit =
  ({ database }: Pick<Context, 'database'>): Handler<'listAudit'> =>
  async ({ query }) => {
    const before = decodeCursor(query.cursor, Position)
    const rows = await database.read(sql => auditRows(sql, query, before, query.limit + 1))
    return pageOf(rows, query.limit, { item: auditViewOf, position: ({ sequence }) => sequence })
  }

type Filters = Pick<RouteRequest<'listAudit'>['query'], 'actor' | 'action' | 'subject' | 'from' | 'to'>

/** Entries that fit every filter, before a number, newest first. */
export const auditRows = (sql: Sql, filters: Filters, before: number | null, limit: number) => {
  const { actor, action, subject, from, to } = filters
  return sql<AuditRow[]>`
    select sequence, time, actor, action, subject, detail, previous_hash, hash from audit_entry
    where true
      ${before === null ? sql`` : sql`and sequence < ${before}`}
      ${actor === undefined ? sql`` : sql`and actor = ${actor}`}
      ${action === undefined ? sql`` : sql`and action = ${action}`}
      ${subject === undefined ? sql`` : sql`and subject = ${subject}`}
      ${from === undefined ? sql`` : sql`and time >= ${from}`}
      ${to === undefined ? sql`` : sql`and time < ${to}`}
    order by sequence desc limit ${limit}`
}
