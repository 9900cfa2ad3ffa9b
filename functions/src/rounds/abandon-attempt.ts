import type { AttemptRef } from '@tributary/contracts/ids'
import type { Context } from '../context.ts'
import type { Transaction } from '../database/transaction.ts'
import { startQueued } from '../queue/start-queued.ts'
import type { TaskRow } from '../tasks/task-row.ts'
import { dropAttempt } from './drop-attempt.ts'
import { failAfterLastAttempt } from './fail-task.ts'
import { openNextAttempt } from './open-next-attempt.ts'
import type { Reason } from './reason.ts'
import { systemActor } from './system-actor.ts'

/**
 * Gives up a live attempt: its regions drop it, and the next one opens (or waits for devices) unless the task has used up
 * its attempts. The version before stays current, nothing is written. The caller holds the task's lock.
 */
export const abandonAttempt = async (
  context: Context,
  sql: Transaction,
  task: TaskRow,
  ref: AttemptRef,
  reason: Reason,
): Promise<void> => {
  if (!(await dropAttempt(context, sql, ref, { actor: systemActor, reason, counted: true }))) return
  if (await failAfterLastAttempt(context, sql, task, ref, reason)) {
    sql.afterCommit('queue', () => startQueued(context))
    return
  }
  await openNextAttempt(context, sql, task.id)
}
