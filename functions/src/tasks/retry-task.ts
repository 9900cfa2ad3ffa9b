import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { openNextAttempt } from '../rounds/open-next-attempt.ts'
import { moveTask } from './move-task.ts'
import { taskView } from './task-view.ts'
import { stateConflict, wantedTask } from './wanted-task.ts'

/**
 * Queues a failed task again. It goes on after its last committed round, and the attempts made of the next one so far
 * count no more.
 * @throws TributaryError NOT_FOUND, STATE_CONFLICT
 */
export const retryTask =
  (context: Context): Handler<'retryTask'> =>
  async ({ params, actor }, sql) => {
    const task = await wantedTask(sql, params.task)
    if (!(await moveTask(context, sql, task.id, 'retry', { actor }))) {
      throw stateConflict(task, 'a failed task can be retried')
    }
    await sql`
      update round_attempt set counted = false
      where task = ${task.id} and round = ${task.roundsCommitted + 1} and state = 'abandoned' and counted`
    await openNextAttempt(context, sql, task.id)
    return taskView(await wantedTask(sql, task.id))
  }
