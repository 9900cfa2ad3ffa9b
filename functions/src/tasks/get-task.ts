import { TributaryError } from '@tributary/contracts/errors'
import type { TaskDetail } from '@tributary/contracts/tasks'
import type { Context } from '../context.ts'
import type { Sql } from '../database/transaction.ts'
import type { Handler } from '../http/handler.ts'
import { queueColumnOfOne } from '../queue/queue-places.ts'
import { RecentDetails } from './recent-details.ts'
import { readRounds } from './rounds/read-rounds.ts'
import { type TaskRow, taskColumns } from './task-row.ts'
import { readTaskStamp } from './task-stamp.ts'
import { taskView } from './task-view.ts'

const mostRounds = 200

/**
 * One task with its newest 200 rounds. Everybody polls it, so each call asks the database whether anything changed, and reads all
 * only then: cheaper than a shared cache, and no caller sees a change undone.
 * @throws TributaryError NOT_FOUND
 */
export const getTask = ({ database }: Pick<Context, 'database'>): Handler<'getTask'> => {
  const recent = new RecentDetails()
  return ({ params }) =>
    database.read(async sql => {
      const found = await readTaskStamp(sql, params.task)
      if (found === undefined) throw new TributaryError('NOT_FOUND')
      // The place in a queue depends on other tasks.
      const kept = found.state === 'queued' ? undefined : recent.find(params.task, found.stamp)
      if (kept !== undefined) return kept
      const detail = await readDetail(sql, params.task)
      // Read after its stamp: what changed in between is read once more at the next call.
      recent.keep(found.stamp, detail)
      return detail
    })
}

const readDetail = async (sql: Sql, id: string): Promise<TaskDetail> => {
  const [task] = await sql<TaskRow[]>`select ${taskColumns(sql, queueColumnOfOne(sql))} from task where id = ${id}`
  if (task === undefined) throw new TributaryError('NOT_FOUND')
  // After the task, whose state they then are not behind: nobody sees it completed and its last round still at work.
  const history = await readRounds(sql, id, { limit: mostRounds })
  return { ...taskView(task), history: history.toReversed() }
}
