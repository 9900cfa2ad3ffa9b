import type { Context } from '../context.ts'
import type { Transaction } from '../database/transaction.ts'
import type { TaskRow } from '../tasks/task-row.ts'
import { completeTask } from './complete-task.ts'

/**
 * Completes a running task whose stop condition of time has passed. The caller holds its lock.
 * @returns whether it did
 */
export const stopAfterTime = async (context: Context, sql: Transaction, task: TaskRow): Promise<boolean> => {
  const [over] = await sql`select 1 from task where id = ${task.id} and state = 'running' and stop_at <= now()`
  if (over === undefined) return false
  await completeTask(context, sql, task.id, {
    code: 'STOP_SECONDS',
    detail: `${task.settings.stop.seconds} s have passed since the start; ${committedRounds(task)}.`,
  })
  return true
}

/** How far a task came, for reasons: nobody should take a version that was never trained for a trained one. */
export const committedRounds = ({ roundsCommitted, roundsWanted }: TaskRow): string =>
  roundsCommitted === 0
    ? 'no round was committed, so the current version is the one that the task began with'
    : `${roundsCommitted} of ${roundsWanted} rounds were committed`
