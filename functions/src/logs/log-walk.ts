import { TributaryError } from '@tributary/contracts/errors'
import type { Sql } from '../database/transaction.ts'
import type { RouteRequest } from '../http/handler.ts'
import { type LogRow, logColumns } from './log-row.ts'

export type LogFilters = Omit<
  RouteRequest<'listLogs'>['query'],
  'cursor' | 'limit' | 'order' | 'after' | 'waitSeconds'
> & {
  readonly task?: string | undefined
  readonly round?: number | undefined
}

/** Entries of numbers between, in one direction. */
export type LogWalk = {
  readonly order: 'newest' | 'oldest'
  /** Exclusive. */
  readonly above: number
  /** Inclusive. */
  readonly upTo: number
  readonly limit: number
}

/**
 * A request looks through so many entries at most: what is sought may be rare, and a search for a word has no index. Some 20 ms.
 */
const mostLooked = 20_000
/** Entries that came to central further from the time written on them are not found by time. */
const slackHours = 24
const severity = { debug: [], info: ['info', 'warn', 'error'], warn: ['warn', 'error'], error: ['error'] } as const

/** The newest number among those that the walk would go through; 0 where there is none. */
export const newestLog = async (sql: Sql, filters: LogFilters): Promise<number> => {
  const [row] = await sql<{ id: number }[]>`
    select id from log_entry where ${indexed(sql, filters)} order by id desc limit 1`
  return row?.id ?? 0
}

/**
 * Walks through entries and keeps those that fit.
 * @returns at most `limit` rows; the number at which to go on where more may follow, else null
 */
export const walkLogs = async (
  sql: Sql,
  filters: LogFilters,
  walk: LogWalk,
): Promise<{ readonly rows: LogRow[]; readonly next: number | null }> => {
  const { limit } = walk
  const found = await sql<LogRow[]>`${logRows(sql, filters, walk)}`
  const rows = found.slice(0, limit)
  if (found.length > limit) return { rows, next: rows.at(-1)?.id ?? null }
  const [end] = await sql<{ id: number }[]>`
    select id from log_entry where ${indexed(sql, filters)} and ${within(sql, walk)} ${along(sql, walk)}
    limit 1 offset ${mostLooked - 1}`
  return { rows, next: end?.id ?? null }
}

/** One row more than the walk wants, of the first `mostLooked` entries that its index leads through. */
export const logRows = (sql: Sql, filters: LogFilters, walk: LogWalk) => sql`
  select * from (
    select ${logColumns(sql)} from log_entry where ${indexed(sql, filters)} and ${within(sql, walk)} ${along(sql, walk)}
    limit ${mostLooked}
  ) looked
  where ${remaining(sql, filters)} ${along(sql, walk)} limit ${walk.limit + 1}`

const within = (sql: Sql, { above, upTo }: LogWalk) => sql`id > ${above} and id <= ${upTo}`
const along = (sql: Sql, { order }: LogWalk) => (order === 'newest' ? sql`order by id desc` : sql`order by id`)

/** What an index leads to, in the order of numbers: a device; else a task, trouble, or both. And a time, by its arrival. */
const indexed = (sql: Sql, { device, task, level, from, to }: LogFilters) => {
  const trouble = level === 'warn' || level === 'error'
  return sql`
    ${device === undefined ? sql`true` : sql`device = ${device}`}
    ${device !== undefined || task === undefined ? sql`` : sql`and task = ${task}`}
    ${device !== undefined || !trouble ? sql`` : sql`and level in ('warn', 'error')`}
    ${
      from === undefined
        ? sql``
        : sql`and id >= (select id from log_entry
            where received_at >= ${from}::timestamptz - make_interval(hours => ${slackHours})
            order by received_at, id limit 1)`
    }
    ${
      to === undefined
        ? sql``
        : sql`and id <= (select id from log_entry
            where received_at <= ${to}::timestamptz + make_interval(hours => ${slackHours})
            order by received_at desc, id desc limit 1)`
    }`
}

const remaining = (sql: Sql, filters: LogFilters) => {
  const { task, round, region, node, level, code, from, to, q } = filters
  return sql`
    true
    ${task === undefined ? sql`` : sql`and task = ${task}`}
    ${round === undefined ? sql`` : sql`and round = ${round}`}
    ${region === undefined ? sql`` : sql`and region = ${region}`}
    ${node === undefined ? sql`` : sql`and node = ${node}`}
    ${level === 'debug' ? sql`` : sql`and level = any(${[...severity[level]]}::text[])`}
    ${code === undefined ? sql`` : sql`and code = ${code}`}
    ${from === undefined ? sql`` : sql`and time >= ${from}`}
    ${to === undefined ? sql`` : sql`and time < ${to}`}
    ${q === undefined ? sql`` : sql`and message ilike ${`%${q.replace(/[\\%_]/g, '\\$&')}%`}`}`
}

/** @throws TributaryError QUERY_INVALID */
export const checkLogQuery = (query: RouteRequest<'listLogs'>['query']): void => {
  const { after, cursor, waitSeconds } = query
  const detail =
    after !== undefined && cursor !== undefined
      ? 'after, cursor: give one of them'
      : after === undefined && waitSeconds > 0
        ? 'waitSeconds: only with `after`'
        : undefined
  if (detail !== undefined) throw new TributaryError('QUERY_INVALID', { detail })
}
