import type { AttemptRef } from '@tributary/contracts/ids'
import type { Context } from '../context.ts'
import type { Transaction } from '../database/transaction.ts'
import type { TaskRow } from '../tasks/task-row.ts'
import { failAfterLastAttempt } from './fail-task.ts'
import { moveAttempt } from './move-attempt.ts'
import { openNextAttempt } from './open-next-attempt.ts'
import type { Reason } from './reason.ts'
import { systemActor } from './system-actor.ts'
import { tellRegions } from './tell-regions.ts'

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
  if (!(await moveAttempt(context, sql, ref, 'abandon', { actor: systemActor, reason }))) return
  await tellRegions(context, sql, ref, 'round.settled', { ...ref, outcome: 'abandoned', reason: reason.code })
  // The merge function also takes in the participation lists, so that everybody can see who failed, and why.
  sql.afterCommit(`merge ${ref.task}/${ref.round}/${ref.attempt}`, () => context.startMerge(ref))
  if (await failAfterLastAttempt(context, sql, task, ref, reason)) return
  await openNextAttempt(context, sql, task.id)
}
