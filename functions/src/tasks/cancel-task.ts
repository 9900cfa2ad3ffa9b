import { TributaryError } from '@tributary/contracts/errors'
import { attemptKey } from '@tributary/contracts/ids'
import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { startQueued } from '../queue/start-queued.ts'
import { announceTask } from '../rounds/announce-task.ts'
import { readLiveAttempt } from '../rounds/live-attempt.ts'
import { moveAttempt } from '../rounds/move-attempt.ts'
import { cancelledBy } from '../rounds/reason.ts'
import { moveTask } from './move-task.ts'
import { taskView } from './task-view.ts'
import { wantedTask } from './wanted-task.ts'

/**
 * Cancels a task and its live attempt; a merge that is under way finds the attempt settled and commits nothing.
 * Cancelling a cancelled task changes nothing.
 * @throws TributaryError NOT_FOUND, STATE_CONFLICT when the task ended otherwise
 */
export const cancelTask =
  (context: Context): Handler<'cancelTask'> =>
  async ({ params, actor }, sql) => {
    const task = await wantedTask(sql, params.task)
    if (task.state === 'cancelled') return taskView(task)
    const reason = cancelledBy(actor)
    if (!(await moveTask(context, sql, task.id, 'cancel', { actor, reason }))) {
      throw new TributaryError('STATE_CONFLICT', { detail: `The task is ${task.state} already.` })
    }
    const live = await readLiveAttempt(sql, task.id)
    if (live !== undefined) {
      await moveAttempt(context, sql, live, 'abandon', { actor, reason, counted: false })
      await announceTask(context, sql, task.id, 'task.cancelled', { task: task.id })
      // Commits nothing any more, but takes in who took part in the shards that had reported.
      sql.afterCommit(`merge ${attemptKey(live)}`, () => context.startMerge(live))
    }
    if (task.state === 'running') sql.afterCommit('queue', () => startQueued(context))
    return taskView(await wantedTask(sql, task.id))
  }
