import { setTimeout as delay } from 'node:timers/promises'
import type { LogPage } from '@tributary/contracts/task-views'
import type { Database } from '../database/database.ts'
import { encodeCursor } from '../http/cursor.ts'
import { type LogRow, logView } from './log-row.ts'
import { type LogFilters, newestLog, walkLogs } from './log-walk.ts'

export type LogTail = {
  /** Number of the last entry that the caller knows of. */
  readonly after: number
  readonly limit: number
  readonly waitSeconds: number
  readonly signal: AbortSignal
}

const firstPauseMillis = 150
const longestPauseMillis = 1000

/**
 * What came behind an entry, oldest first: at once where there is something, else as soon as there is, else nothing when
 * the time is over. While nothing comes, each look costs one probe of an index.
 */
export const followLogs = async (database: Database, filters: LogFilters, tail: LogTail): Promise<LogPage> => {
  const until = performance.now() + tail.waitSeconds * 1000
  let { after } = tail
  for (let pause = firstPauseMillis; ; pause = Math.min(longestPauseMillis, pause * 1.5)) {
    const { rows, reached, more } = await look(database, filters, { ...tail, after })
    const left = until - performance.now()
    if (rows.length > 0 || more || left <= 0 || tail.signal.aborted) {
      // In a live tail the way on is always `tail`; `next` stays that of lists.
      return { items: rows.map(logView), next: null, tail: encodeCursor(reached) }
    }
    after = reached
    await delay(Math.min(pause, left), undefined, { signal: tail.signal }).catch(() => undefined)
  }
}

type Look = { readonly rows: readonly LogRow[]; readonly reached: number; readonly more: boolean }

const look = (database: Database, filters: LogFilters, { after, limit }: LogTail): Promise<Look> =>
  database.read(async sql => {
    const newest = await newestLog(sql, filters)
    if (newest <= after) return { rows: [], reached: after, more: false }
    const { rows, next } = await walkLogs(sql, filters, { order: 'oldest', above: after, upTo: newest, limit })
    return { rows, reached: next ?? newest, more: next !== null }
  })
