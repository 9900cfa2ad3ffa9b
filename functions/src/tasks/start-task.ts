import { TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { openNextAttempt } from '../rounds/open-next-attempt.ts'
import { moveTask } from './move-task.ts'
import { lockTask, type TaskRow } from './task-row.ts'
import { taskView } from './task-view.ts'

/** Starts a draft. @throws TributaryError NOT_FOUND, STATE_CONFLICT */
export const startTask =
  (context: Context): Handler<'startTask'> =>
  async ({ params, actor }, sql) => {
    const task = await lockTask(sql, params.task)
    if (task === undefined) throw new TributaryError('NOT_FOUND')
    if (!(await moveTask(context, sql, task.id, 'start', { actor }))) {
      throw new TributaryError('STATE_CONFLICT', { detail: `The task is ${task.state}; only a draft can be started.` })
    }
    await openNextAttempt(context, sql, task.id)
    return taskView((await lockTask(sql, task.id)) as TaskRow)
  }
