import type { Context } from '../context.ts'
import type { Transaction } from '../database/transaction.ts'
import { moveTask } from '../tasks/move-task.ts'
import { announceTask } from './announce-task.ts'
import { dropAttempt } from './drop-attempt.ts'
import { readLiveAttempt } from './live-attempt.ts'
import { type Reason, stoppedBy } from './reason.ts'
import { systemActor } from './system-actor.ts'

/**
 * Ends a task before its last round with the version that it has; a round in flight is dropped. The caller holds the
 * task's lock.
 */
export const completeTask = async (context: Context, sql: Transaction, task: string, reason: Reason): Promise<void> => {
  await dropLiveAttempt(context, sql, task, reason)
  if (!(await moveTask(context, sql, task, 'complete', { actor: systemActor, reason }))) return
  await announceTask(context, sql, task, 'task.finished', { task, state: 'completed' })
}

/** Drops the round in flight of a task that stops, if there is one. */
export const dropLiveAttempt = async (
  context: Context,
  sql: Transaction,
  task: string,
  reason: Reason,
): Promise<void> => {
  const live = await readLiveAttempt(sql, task)
  if (live === undefined) return
  await dropAttempt(context, sql, live, { actor: systemActor, reason: stoppedBy(reason), counted: false })
}
