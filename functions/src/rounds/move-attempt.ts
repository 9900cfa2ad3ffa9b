import { type AttemptRef, attemptKey } from '@tributary/contracts/ids'
import { ATTEMPT_MOVES, type AttemptEvent, SETTLED_ATTEMPT_STATES } from '@tributary/learning/attempt-state'
import type { Context } from '../context.ts'
import { asJson, type Transaction } from '../database/transaction.ts'
import type { Reason } from './reason.ts'

/**
 * One arrow of the attempt's state: a conditional update, with its audit entry.
 * @param outcome the new version for `commit`, the reason for `abandon`; whether an abandoned attempt uses up one of those
 *   that the task allows (@default true)
 * @returns false when the attempt is in no state from which the event leads on; nothing is changed then
 */
export const moveAttempt = async (
  { audit }: Pick<Context, 'audit'>,
  sql: Transaction,
  ref: AttemptRef,
  event: AttemptEvent,
  { actor, reason, version, counted = true }: { actor: string; reason?: Reason; version?: string; counted?: boolean },
): Promise<boolean> => {
  const { from, to } = ATTEMPT_MOVES[event]
  const settled = SETTLED_ATTEMPT_STATES.includes(to)
  const moved = await sql`
    update round_attempt set
      state = ${to},
      reason = ${reason === undefined ? null : sql.json(asJson(reason))},
      version = ${version ?? null},
      counted = ${counted},
      participation_due = ${to === 'abandoned'} and exists (
        select from attempt_shard s
        where s.task = round_attempt.task and s.round = round_attempt.round and s.attempt = round_attempt.attempt
          and s.participation_bytes > 0),
      merge_started_at = case when ${to === 'closing'} then now() else merge_started_at end,
      -- What waited for a lock began before what it waited for.
      closed_at = case when ${to === 'closing'} then greatest(now(), (
        select max(s.reported_at) from attempt_shard s
        where s.task = round_attempt.task and s.round = round_attempt.round and s.attempt = round_attempt.attempt))
        else closed_at end,
      settled_at = case when ${settled} then now() end
    where task = ${ref.task} and round = ${ref.round} and attempt = ${ref.attempt} and state = any(${[...from]}::text[])`
  if (moved.count !== 1) return false
  const detail = { ...(reason && { reason }), ...(version !== undefined && { version }) }
  audit.append(sql, { actor, action: `attempt.${to}`, subject: `attempt/${attemptKey(ref)}`, detail })
  return true
}
