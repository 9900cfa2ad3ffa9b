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

export type LogSpan = {
  /** Exclusive. */
  readonly above: number
  /** Inclusive. */
  readonly upTo: number
}
/** Entries of numbers between, in one direction. */
export type LogWalk = LogSpan & { readonly order: 'newest' | 'oldest'; readonly limit: number }

/**
 * A request looks through so many entries at most: what is sought may be rare, and a search for a word has no index. Some 20 ms.
 */
const mostLooked = 20_000
/** Entries that came to central further from the time written on them are not found by time. */
const slackHours = 24
/** Above every number. */
const beyond = Number.MAX_SAFE_INTEGER
const severity = { debug: [], info: ['info', 'warn', 'error'], warn: ['warn', 'error'], error: ['error'] } as const

/** The numbers between which entries of the wanted time lie, by when they came in. */
export const spanOfTime = async (sql: Sql, { from, to }: Pick<LogFilters, 'from' | 'to'>): Promise<LogSpan> => {
  const first =
    from === undefined
      ? null
      : await sql<{ id: number }[]>`
    select id from log_entry where received_at >= ${from}::timestamptz - make_interval(hours => ${slackHours})
    order by received_at, id limit 1`
  const last =
    to === undefined
      ? null
      : await sql<{ id: number }[]>`
    select id from log_entry where received_at <= ${to}::timestamptz + make_interval(hours => ${slackHours})
    order by received_at desc, id desc limit 1`
  return {
    above: first === null ? 0 : (first[0]?.id ?? beyond) - 1,
    upTo: last === null ? beyond : (last[0]?.id ?? 0),
  }
}

/** The newest number among those that a walk would go through; 0 where there is none. */
export const newestLog = async (sql: Sql, filters: LogFilters): Promise<number> => {
  const span = { above: 0, upTo: beyond }
  const [row] = await sql<{ id: number }[]>`
    select id from log_entry where ${within(sql, filters, span)} ${along(sql, filters, 'newest')} limit 1`
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
  const { limit, order } = walk
  const found = await sql<LogRow[]>`${logRows(sql, filters, walk)}`
  const rows = found.slice(0, limit)
  if (found.length > limit) return { rows, next: rows.at(-1)?.id ?? null }
  const [end] = await sql<{ id: number }[]>`
    select id from log_entry where ${within(sql, filters, walk)} ${along(sql, filters, order)}
    limit 1 offset ${mostLooked - 1}`
  return { rows, next: end?.id ?? null }
}

/** One row more than the walk wants, of the first `mostLooked` entries that its index leads through. */
export const logRows = (sql: Sql, filters: LogFilters, walk: LogWalk) => sql`
  select * from (
    select ${logColumns(sql)} from log_entry where ${within(sql, filters, walk)} ${along(sql, filters, walk.order)}
    limit ${mostLooked}
  ) looked
  where ${remaining(sql, filters)} ${along(sql, filters, walk.order)} limit ${walk.limit + 1}`

type Path = 'device' | 'task' | 'node' | 'region' | 'trouble' | 'all'

/** What an index leads to, by what is sought: the fewest entries first. Trouble is rarer than what a node or a region says. */
const pathOf = ({ device, task, node, region, level }: LogFilters): Path => {
  if (device !== undefined) return 'device'
  if (task !== undefined) return 'task'
  if (isTrouble(level)) return 'trouble'
  if (node !== undefined) return 'node'
  return region === undefined ? 'all' : 'region'
}

const isTrouble = (level: LogFilters['level']): boolean => level === 'warn' || level === 'error'

/*
 * Rows are compared as wholes, since with `task = …` Postgres may hope to meet the task's entries soon on its way through everybody's.
 */
const within = (sql: Sql, filters: LogFilters, { above, upTo }: LogSpan) => {
  const { device = '', task = '', node = '', region = '', level } = filters
  const trouble = isTrouble(level) ? sql`and level in ('warn', 'error')` : sql``
  switch (pathOf(filters)) {
    case 'device':
      return sql`device is not null and (device, id) > (${device}::uuid, ${above}) and (device, id) <= (${device}::uuid, ${upTo})`
    case 'task':
      return sql`(task, id) > (${task}::uuid, ${above}) and (task, id) <= (${task}::uuid, ${upTo}) ${trouble}`
    case 'node':
      return sql`(node, id) > (${node}::uuid, ${above}) and (node, id) <= (${node}::uuid, ${upTo})`
    case 'region':
      return sql`(region, id) > (${region}::text, ${above}) and (region, id) <= (${region}::text, ${upTo})`
    default:
      return sql`id > ${above} and id <= ${upTo} ${trouble}`
  }
}

const along = (sql: Sql, filters: LogFilters, order: LogWalk['order']) => {
  const direction = order === 'newest' ? sql`desc` : sql`asc`
  const path = pathOf(filters)
  return path === 'trouble' || path === 'all'
    ? sql`order by id ${direction}`
    : sql`order by ${sql(path)} ${direction}, id ${direction}`
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
