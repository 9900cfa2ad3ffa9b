import type { LogPage } from '@tributary/contracts/task-views'
import * as z from 'zod'
import type { Database } from '../database/database.ts'
import { decodeCursor, encodeCursor } from '../http/cursor.ts'
import type { RouteRequest } from '../http/handler.ts'
import { followLogs } from './follow-logs.ts'
import { logView } from './log-row.ts'
import { checkLogQuery, type LogFilters, newestLog, spanOfTime, walkLogs } from './log-walk.ts'

const entryNumber = z.int().nonnegative()
/** Where a list goes on, and the newest entry when its first page was made. */
const Position = z.tuple([entryNumber, entryNumber])

type Query = RouteRequest<'listLogs'>['query']
export type LogRequest = {
  readonly query: Query
  /** What the path adds to the query's filters. */
  readonly about?: Pick<LogFilters, 'task' | 'round'>
  readonly signal: AbortSignal
}

/** A page of a log, or what came behind a `tail`. @throws TributaryError QUERY_INVALID */
export const readLogs = async (database: Database, request: LogRequest): Promise<LogPage> => {
  checkLogQuery(request.query)
  const { cursor, limit, order, after, waitSeconds, ...own } = request.query
  const filters: LogFilters = { ...own, ...request.about }
  if (after !== undefined) {
    const tail = decodeCursor(after, entryNumber) ?? 0
    return followLogs(database, filters, { after: tail, limit, waitSeconds, signal: request.signal })
  }
  const position = decodeCursor(cursor, Position)
  return database.read(async sql => {
    const time = await spanOfTime(sql, filters)
    const [at, newest] = position ?? [null, await newestLog(sql, filters)]
    const above = order === 'oldest' && at !== null ? at : 0
    const upTo = order === 'newest' && at !== null ? at - 1 : newest
    const span = { above: Math.max(above, time.above), upTo: Math.min(upTo, time.upTo) }
    const { rows, next } = await walkLogs(sql, filters, { order, limit, ...span })
    return {
      items: rows.map(logView),
      next: next === null ? null : encodeCursor([next, newest]),
      tail: encodeCursor(newest),
    }
  })
}
