import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { openNextAttempt } from '../rounds/open-next-attempt.ts'
import { moveTask } from './move-task.ts'
import { taskView } from './task-view.ts'
import { stateConflict, wantedTask } from './wanted-task.ts'

/** Starts a draft, or queues it for its `startAt`. @throws TributaryError NOT_FOUND, STATE_CONFLICT */
export const startTask =
  (context: Context): Handler<'startTask'> =>
  async ({ params, actor }, sql) => {
    const task = await wantedTask(sql, params.task)
    if (!(await moveTask(context, sql, task.id, 'start', { actor }))) {
      throw stateConflict(task, 'a draft can be started')
    }
    await openNextAttempt(context, sql, task.id)
    return taskView(await wantedTask(sql, task.id))
  }
