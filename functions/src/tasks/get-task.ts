import { TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { queueColumnOfOne } from '../queue/queue-places.ts'
import { readRounds } from './rounds/read-rounds.ts'
import { type TaskRow, taskColumns } from './task-row.ts'
import { taskView } from './task-view.ts'

const mostRounds = 200

/** One task with its newest 200 rounds. @throws TributaryError NOT_FOUND */
export const getTask =
  ({ database }: Pick<Context, 'database'>): Handler<'getTask'> =>
  async ({ params }) => {
    const [[task], history] = await database.read(sql =>
      Promise.all([
        sql<TaskRow[]>`select ${taskColumns(sql, queueColumnOfOne(sql))} from task where id = ${params.task}`,
        readRounds(sql, params.task, { limit: mostRounds }),
      ]),
    )
    if (task === undefined) throw new TributaryError('NOT_FOUND')
    return { ...taskView(task), history: history.toReversed() }
  }
