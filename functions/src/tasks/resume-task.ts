import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { hasTurn } from '../queue/has-turn.ts'
import { announceTask } from '../rounds/announce-task.ts'
import { openNextAttempt } from '../rounds/open-next-attempt.ts'
import { moveTask } from './move-task.ts'
import { taskView } from './task-view.ts'
import { stateConflict, wantedTask } from './wanted-task.ts'

/**
 * Resumes a paused task: it runs again, and its next attempt opens on the version that it had. Where a region has no slot
 * for it, it takes the place in the queue that it had.
 * @throws TributaryError NOT_FOUND, STATE_CONFLICT
 */
export const resumeTask =
  (context: Context): Handler<'resumeTask'> =>
  async ({ params, actor }, sql) => {
    const task = await wantedTask(sql, params.task)
    if (!(await moveTask(context, sql, task.id, 'resume', { actor }))) {
      throw stateConflict(task, 'a paused task can be resumed')
    }
    if (await hasTurn(sql, task)) await moveTask(context, sql, task.id, 'run', { actor })
    await announceTask(context, sql, task.id, 'task.resumed', { task: task.id })
    await openNextAttempt(context, sql, task.id)
    return taskView(await wantedTask(sql, task.id))
  }
