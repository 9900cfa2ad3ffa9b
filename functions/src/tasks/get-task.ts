import { TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { queueColumnOfOne } from '../queue/queue-places.ts'
import { readHistory } from './read-history.ts'
import { type TaskRow, taskColumns } from './task-row.ts'
import { taskView } from './task-view.ts'

/** One task with its newest 200 rounds. @throws TributaryError NOT_FOUND */
export const getTask =
  ({ database }: Pick<Context, 'database'>): Handler<'getTask'> =>
  async ({ params }) => {
    const [[task], history] = await database.read(sql =>
      Promise.all([
        sql<TaskRow[]>`select ${taskColumns(sql, queueColumnOfOne(sql))} from task where id = ${params.task}`,
        readHistory(sql, params.task),
      ]),
    )
    if (task === undefined) throw new TributaryError('NOT_FOUND')
    return { ...taskView(task), history }
  }
