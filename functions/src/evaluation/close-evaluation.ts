import type { MetricSums } from '@tributary/contracts/round'
import type { Context } from '../context.ts'
import { asJson, type Transaction } from '../database/transaction.ts'
import { systemActor } from '../rounds/system-actor.ts'
import type { TaskRow } from '../tasks/task-row.ts'
import { addMetricSums } from './metric-sums.ts'
import { stopTaskWhereDue } from './stop-task.ts'

/**
 * Adds up what the shards of an open evaluation found, and closes it when all are in, or `atOnce`; what it shows may end
 * the task. The caller holds the locks of both (`lockEvaluation`). The sum is taken anew each time, so that nothing can count twice.
 */
export const closeEvaluation = async (
  context: Context,
  sql: Transaction,
  task: TaskRow,
  evaluation: string,
  { atOnce }: { atOnce: boolean },
): Promise<void> => {
  const shards = await sql<{ state: string; metrics: MetricSums }[]>`
    select state, metrics from evaluation_shard where evaluation = ${evaluation}`
  const metrics = addMetricSums(shards.filter(({ state }) => state === 'summed').map(shard => shard.metrics))
  const missing = shards.filter(({ state }) => state === 'open').length
  const closes = atOnce || missing === 0
  const changed = await sql`
    update evaluation set metrics = ${sql.json(asJson(metrics))}, state = ${closes ? 'closed' : 'open'},
      closed_at = case when ${closes} then now() end
    where id = ${evaluation} and state = 'open'`
  if (changed.count !== 1 || !closes) return
  const detail = { metrics, missing }
  const subject = `evaluation/${evaluation}`
  context.audit.append(sql, { actor: systemActor, action: 'evaluation.closed', subject, detail })
  await stopTaskWhereDue(context, sql, task)
}
