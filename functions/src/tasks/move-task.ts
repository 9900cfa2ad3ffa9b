import { FINAL_TASK_STATES, TASK_MOVES, type TaskEvent } from '@tributary/learning/task-state'
import type { Context } from '../context.ts'
import { asJson, type Transaction } from '../database/transaction.ts'
import type { Reason } from '../rounds/reason.ts'

/**
 * One arrow of the task's state: a conditional update, with its audit entry.
 * @returns false when the task is in no state from which the event leads on; nothing is changed then
 */
export const moveTask = async (
  { audit }: Pick<Context, 'audit'>,
  sql: Transaction,
  task: string,
  event: TaskEvent,
  { actor, reason }: { actor: string; reason?: Reason },
): Promise<boolean> => {
  const { from, to } = TASK_MOVES[event]
  const final = FINAL_TASK_STATES.includes(to)
  // A task that is resumed keeps its place in the queue and its time; one that is retried begins both anew.
  const anew = event === 'start' || event === 'retry'
  const moved = await sql`
    update task set
      state = ${to},
      reason = ${reason === undefined ? null : sql.json(asJson(reason))},
      started_at = case when ${to === 'running'} then coalesce(started_at, now()) else started_at end,
      queued_at = case when ${anew} then now() else queued_at end,
      stop_at = case when ${anew} then null
        when ${to === 'running'} then coalesce(stop_at,
          now() + make_interval(secs => (settings -> 'stop' ->> 'seconds')::double precision))
        else stop_at end,
      waiting_since = null,
      finished_at = case when ${final} then now() end
    where id = ${task} and state = any(${[...from]}::text[])`
  if (moved.count !== 1) return false
  const detail = { event, ...(reason && { reason }) }
  audit.append(sql, { actor, action: `task.${to}`, subject: `task/${task}`, detail })
  return true
}
