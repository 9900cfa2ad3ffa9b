import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { startQueued } from '../queue/start-queued.ts'
import { announceTask } from '../rounds/announce-task.ts'
import { dropAttempt } from '../rounds/drop-attempt.ts'
import { readLiveAttempt } from '../rounds/live-attempt.ts'
import { pausedBy } from '../rounds/reason.ts'
import { moveTask } from './move-task.ts'
import { taskView } from './task-view.ts'
import { stateConflict, wantedTask } from './wanted-task.ts'

/**
 * Pauses a running task: the attempt in flight is abandoned and does not count, a merge that is under way commits nothing,
 * and the task's slots become free.
 * @throws TributaryError NOT_FOUND, STATE_CONFLICT
 */
export const pauseTask =
  (context: Context): Handler<'pauseTask'> =>
  async ({ params, actor }, sql) => {
    const task = await wantedTask(sql, params.task)
    const reason = pausedBy(actor)
    if (!(await moveTask(context, sql, task.id, 'pause', { actor, reason }))) {
      throw stateConflict(task, 'a running task can be paused')
    }
    const live = await readLiveAttempt(sql, task.id)
    if (live !== undefined) await dropAttempt(context, sql, live, { actor, reason, counted: false })
    await announceTask(context, sql, task.id, 'task.paused', { task: task.id })
    sql.afterCommit('queue', () => startQueued(context))
    return taskView(await wantedTask(sql, task.id))
  }
