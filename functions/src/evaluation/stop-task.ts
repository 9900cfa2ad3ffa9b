import { FINAL_TASK_STATES } from '@tributary/learning/task-state'
import type { Context } from '../context.ts'
import type { Transaction } from '../database/transaction.ts'
import { startQueued } from '../queue/start-queued.ts'
import { completeTask, dropLiveAttempt } from '../rounds/complete-task.ts'
import { failTask } from '../rounds/fail-task.ts'
import type { TaskRow } from '../tasks/task-row.ts'
import { type KeptResult, keptResult, readResult } from './evaluation-result.ts'
import { judgeStop } from './stop-conditions.ts'

/**
 * Ends a task whose closed evaluations fulfil one of its stop conditions: a round in flight is dropped, the current version
 * stays. The caller holds the task's lock.
 */
export const stopTaskWhereDue = async (context: Context, sql: Transaction, task: TaskRow): Promise<void> => {
  const { target, patience, divergence } = task.settings.stop
  if (FINAL_TASK_STATES.includes(task.state)) return
  if (target === undefined && patience === undefined && divergence === undefined) return
  const rows = await sql<{ round: number; kept: KeptResult; evaluators: number }[]>`
    select e.round, ${keptResult(sql)} as kept, (
      select coalesce(sum(s.evaluators), 0)::integer from evaluation_shard s where s.evaluation = e.id) as evaluators
    from evaluation e where e.task = ${task.id} and e.state = 'closed' order by e.round`
  const rounds = rows.map(({ round, kept, evaluators }) => ({ round, evaluators, ...readResult(kept) }))
  const verdict = judgeStop(task.settings.stop, rounds)
  if (verdict === null) return
  sql.afterCommit('queue', () => startQueued(context))
  if (verdict.kind === 'complete') return completeTask(context, sql, task.id, verdict.reason)
  await dropLiveAttempt(context, sql, task.id, verdict.reason)
  await failTask(context, sql, task.id, verdict.reason)
}
