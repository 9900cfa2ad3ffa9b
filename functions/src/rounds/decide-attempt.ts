import { type AttemptRef, attemptKey } from '@tributary/contracts/ids'
import type { AttemptState } from '@tributary/contracts/tasks'
import type { Context } from '../context.ts'
import type { Transaction } from '../database/transaction.ts'
import { startQueued } from '../queue/start-queued.ts'
import type { TaskRow } from '../tasks/task-row.ts'
import { abandonAttempt } from './abandon-attempt.ts'
import { cohortOf } from './cohort-of.ts'
import { completeTask } from './complete-task.ts'
import { dropAttempt } from './drop-attempt.ts'
import { judgeAttempt } from './judge-attempt.ts'
import { moveAttempt } from './move-attempt.ts'
import { dryRunDone } from './reason.ts'
import { shardGraceSeconds } from './settlement-times.ts'
import { systemActor } from './system-actor.ts'

/**
 * Looks whether a live attempt can be closed: all its shards are in, or the deadline has passed. Then the merge starts, or
 * the attempt is abandoned; a dry run is over. The caller holds the task's lock.
 */
export const decideAttempt = async (
  context: Context,
  sql: Transaction,
  task: TaskRow,
  ref: AttemptRef,
): Promise<void> => {
  const [attempt] = await sql<{ state: AttemptState; overdue: boolean }[]>`
    select state, deadline + make_interval(secs => ${shardGraceSeconds}) <= now() as overdue from round_attempt
    where task = ${ref.task} and round = ${ref.round} and attempt = ${ref.attempt} for update`
  if (attempt === undefined || (attempt.state !== 'open' && attempt.state !== 'collecting')) return
  const [shards] = await sql<{ missing: number; accepted: number; empty: number; weight: string }[]>`
    select count(*) filter (where state in ('open', 'collecting'))::integer as missing,
      coalesce(sum(accepted) filter (where state = 'summed'), 0)::integer as accepted,
      coalesce(sum(empty) filter (where state = 'summed'), 0)::integer as empty,
      coalesce(sum(weight) filter (where state = 'summed'), 0)::text as weight
    from attempt_shard where task = ${ref.task} and round = ${ref.round} and attempt = ${ref.attempt}`
  if (shards === undefined || (shards.missing > 0 && !attempt.overdue)) return
  const reason = judgeAttempt({ ...shards, weight: BigInt(shards.weight) }, cohortOf(task.settings).size.quorum)
  if (reason !== null) return abandonAttempt(context, sql, task, ref, reason)
  if (task.settings.dryRun !== undefined) return endDryRun(context, sql, ref)
  await moveAttempt(context, sql, ref, 'collect', { actor: systemActor })
  await moveAttempt(context, sql, ref, 'close', { actor: systemActor })
  sql.afterCommit(`merge ${attemptKey(ref)}`, () => context.startMerge(ref))
}

/** The one device of a dry run reported: its metrics stay with the attempt, and nothing is merged. */
const endDryRun = async (context: Context, sql: Transaction, ref: AttemptRef): Promise<void> => {
  await dropAttempt(context, sql, ref, { actor: systemActor, reason: dryRunDone, counted: false })
  await completeTask(context, sql, ref.task, dryRunDone)
  sql.afterCommit('queue', () => startQueued(context))
}
