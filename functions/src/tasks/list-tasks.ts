import { Uuid } from '@tributary/contracts/ids'
import type { Context } from '../context.ts'
import { decodeCursor, pageOf } from '../http/cursor.ts'
import type { Handler } from '../http/handler.ts'
import { type TaskRow, taskColumns } from './task-row.ts'
import { taskView } from './task-view.ts'

/** Tasks, newest first. */
export const listTasks =
  ({ database }: Pick<Context, 'database'>): Handler<'listTasks'> =>
  async ({ query: { cursor, limit, state } }) => {
    const after = decodeCursor(cursor, Uuid)
    const rows = await database.read(
      sql => sql<TaskRow[]>`
        select ${taskColumns(sql)} from task
        where ${after === null ? sql`true` : sql`id < ${after}`} and ${state === undefined ? sql`true` : sql`state = ${state}`}
        order by id desc limit ${limit + 1}`,
    )
    return pageOf(rows, limit, { item: taskView, position: row => row.id })
  }
