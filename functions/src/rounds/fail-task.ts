import type { AttemptRef } from '@tributary/contracts/ids'
import type { Context } from '../context.ts'
import type { Transaction } from '../database/transaction.ts'
import { moveTask } from '../tasks/move-task.ts'
import type { TaskRow } from '../tasks/task-row.ts'
import { announceTask } from './announce-task.ts'
import type { Reason } from './reason.ts'
import { systemActor } from './system-actor.ts'

/** Ends the task as failed, with the reason, and tells its regions. The version before stays current. */
export const failTask = async (context: Context, sql: Transaction, task: string, reason: Reason): Promise<void> => {
  if (!(await moveTask(context, sql, task, 'fail', { actor: systemActor, reason }))) return
  await announceTask(context, sql, task, 'task.finished', { task, state: 'failed' })
}

/**
 * Fails the task when it has used up the attempts that it allows for a round. Those that were paused, stopped or tried before
 * a retry do not count.
 * @returns whether it did
 */
export const failAfterLastAttempt = async (
  context: Context,
  sql: Transaction,
  task: TaskRow,
  { round }: AttemptRef,
  last: Reason,
): Promise<boolean> => {
  const { attempts } = task.settings
  const [{ used } = { used: 0 }] = await sql<{ used: number }[]>`
    select count(*)::integer as used from round_attempt
    where task = ${task.id} and round = ${round} and state = 'abandoned' and counted`
  if (used < attempts) return false
  const detail = `Round ${round}: ${used} of ${attempts} attempts were abandoned, the last with ${last.code}: ${last.detail}`
  // Nothing was tried where nobody came, so that stays the name of the failure.
  await failTask(context, sql, task.id, {
    code: last.code === 'TOO_FEW_DEVICES' ? last.code : 'ATTEMPTS_EXHAUSTED',
    detail,
  })
  return true
}
