import { TributaryError } from '@tributary/contracts/errors'
import type { LogEntry } from '@tributary/contracts/node-status'
import * as z from 'zod'
import type { Context } from '../context.ts'
import { decodeCursor, pageOf } from '../http/cursor.ts'
import type { Handler } from '../http/handler.ts'

type LogRow = {
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

/** What the regions logged about a task, newest first. */
export const listTaskLogs =
  ({ database }: Pick<Context, 'database'>): Handler<'listTaskLogs'> =>
  async ({ params, query: { cursor, limit } }) => {
    const before = decodeCursor(cursor, z.int().positive())
    const [known, rows] = await database.read(sql =>
      Promise.all([
        sql`select 1 from task where id = ${params.task}`,
        sql<LogRow[]>`
          select id, time, level, region, node, task, round, attempt, shard, device, code, message, fields from log_entry
          where task = ${params.task} and ${before === null ? sql`true` : sql`id < ${before}`}
          order by id desc limit ${limit + 1}`,
      ]),
    )
    if (known.length === 0) throw new TributaryError('NOT_FOUND')
    return pageOf(rows, limit, { item: logView, position: row => row.id })
  }

const logView = (row: LogRow): LogEntry & { region: string; node: string } => ({
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
