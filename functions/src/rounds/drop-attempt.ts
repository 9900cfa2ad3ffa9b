import { type AttemptRef, attemptKey } from '@tributary/contracts/ids'
import type { Context } from '../context.ts'
import type { Transaction } from '../database/transaction.ts'
import { moveAttempt } from './move-attempt.ts'
import type { Reason } from './reason.ts'
import { tellRegions } from './tell-regions.ts'

/**
 * Abandons a live attempt and tells its regions; what becomes of the task is the caller's, who holds its lock.
 * @param outcome `counted`: whether it uses up one of the attempts that the task allows
 * @returns false when the attempt was settled before
 */
export const dropAttempt = async (
  context: Context,
  sql: Transaction,
  ref: AttemptRef,
  outcome: { readonly actor: string; readonly reason: Reason; readonly counted: boolean },
): Promise<boolean> => {
  if (!(await moveAttempt(context, sql, ref, 'abandon', outcome))) return false
  const { code } = outcome.reason
  await tellRegions(context, sql, ref, 'round.settled', { ...ref, outcome: 'abandoned', reason: code })
  // The merge function also takes in the participation lists, so that everybody can see who failed, and why.
  sql.afterCommit(`merge ${attemptKey(ref)}`, () => context.startMerge(ref))
  return true
}
