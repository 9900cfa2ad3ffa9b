import type { LogEntry } from '@tributary/contracts/node-status'
import type { LogEntryView } from '@tributary/contracts/task-views'
import type { Sql } from '../database/transaction.ts'

export type LogRow = {
  readonly id: number
  readonly time: Date
  readonly level: LogEntry['level']
  readonly region: string
  readonly node: string
  readonly task: string | null
  readonly round: number | null
  readonly attempt: number | null
  readonly shard: number | null
  readonly device: string | null
  readonly code: string | null
  readonly message: string
  readonly fields: NonNullable<LogEntry['fields']>
}

/** Columns of a LogRow over `log_entry`. */
export const logColumns = (sql: Sql) => sql`
  id, time, level, region, node, task, round, attempt, shard, device, code, message, fields`

export const logView = (row: LogRow): LogEntryView => ({
  id: row.id,
  time: row.time.toISOString(),
  level: row.level,
  message: row.message,
  region: row.region,
  node: row.node,
  ...(row.task !== null && { task: row.task }),
  ...(row.round !== null && { round: row.round }),
  ...(row.attempt !== null && { attempt: row.attempt }),
  ...(row.shard !== null && { shard: row.shard }),
  ...(row.device !== null && { device: row.device }),
  ...(row.code !== null && { code: row.code }),
  ...(Object.keys(row.fields).length > 0 && { fields: row.fields }),
})
