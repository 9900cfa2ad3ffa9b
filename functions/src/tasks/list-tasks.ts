import { Uuid } from '@tributary/contracts/ids'
import type { Context } from '../context.ts'
import type { Sql } from '../database/transaction.ts'
import { decodeCursor, pageOf } from '../http/cursor.ts'
import type { Handler, RouteRequest } from '../http/handler.ts'
import { type TaskRow, taskColumns } from './task-row.ts'
import { taskView } from './task-view.ts'

/** Tasks, newest first. */
export const listTasks =
  ({ database }: Pick<Context, 'database'>): Handler<'listTasks'> =>
  async ({ query }) => {
    const rows = await database.read(sql => sql<TaskRow[]>`${taskPage(sql, query)}`)
    return pageOf(rows, query.limit, { item: taskView, position: row => row.id })
  }

/** Sorts behind whatever a name goes on with, in the order of bytes. */
const last = '\u{10ffff}'

/** One row more than the page has. */
export const taskPage = (sql: Sql, query: RouteRequest<'listTasks'>['query']) => {
  const { cursor, limit, state, model, name, createdBy, from, to } = query
  const before = decodeCursor(cursor, Uuid)
  return sql`
    select ${taskColumns(sql)} from task
    where true
      ${before === null ? sql`` : sql`and id < ${before}`}
      ${state === undefined ? sql`` : sql`and state = ${state}`}
      ${model === undefined ? sql`` : sql`and model = ${model}`}
      ${
        name === undefined
          ? sql``
          : sql`and lower(name) collate "C" >= lower(${name}) and lower(name) collate "C" < lower(${name}) || ${last}`
      }
      ${createdBy === undefined ? sql`` : sql`and created_by = ${createdBy}`}
      ${from === undefined ? sql`` : sql`and created_at >= ${from}`}
      ${to === undefined ? sql`` : sql`and created_at < ${to}`}
    order by id desc limit ${limit + 1}`
}
