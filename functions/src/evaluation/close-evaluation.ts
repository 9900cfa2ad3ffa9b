import type { MetricSums } from '@tributary/contracts/round'
import type { Context } from '../context.ts'
import { asJson, type Transaction } from '../database/transaction.ts'
import { systemActor } from '../rounds/system-actor.ts'
import type { TaskRow } from '../tasks/task-row.ts'
import { resultOf } from './evaluation-result.ts'
import { isPlainSum, mostSums } from './metric-sums.ts'
import { stopTaskWhereDue } from './stop-task.ts'

/** With more, an evaluation shows what was found once it is closed: each sum is of all shards, and each may have thousands of counts. */
export const mostShownShards = 32

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
  const [count] = await sql<{ shards: number; missing: number }[]>`
    select count(*)::integer as shards, (count(*) filter (where state = 'open'))::integer as missing
    from evaluation_shard where evaluation = ${evaluation}`
  const { shards = 0, missing = 0 } = count ?? {}
  const closes = atOnce || missing === 0
  if (!closes && shards > mostShownShards) return
  const metrics = await sumOfShards(sql, evaluation)
  const changed = await sql`
    update evaluation set metrics = ${sql.json(asJson(metrics))}, result = ${sql.json(asJson(resultOf(metrics)))},
      state = ${closes ? 'closed' : 'open'}, closed_at = case when ${closes} then now() end
    where id = ${evaluation} and state = 'open'`
  if (changed.count !== 1 || !closes) return
  const plain = Object.fromEntries(Object.entries(metrics).filter(([name]) => isPlainSum(name)))
  const detail = { metrics: plain, missing }
  const subject = `evaluation/${evaluation}`
  context.audit.append(sql, { actor: systemActor, action: 'evaluation.closed', subject, detail })
  await stopTaskWhereDue(context, sql, task)
}

/**
 * In the database: a row a name comes over, whatever the number of shards. No more names than one shard may send: were there more, those
 * that the most shards have count, so that a node that makes up names takes no room from what all evaluators find.
 */
const sumOfShards = async (sql: Transaction, evaluation: string): Promise<MetricSums> => {
  const rows = await sql<{ name: string; sum: string }[]>`
    select m.key as name, sum(m.value::numeric)::text as sum
    from evaluation_shard s cross join jsonb_each_text(s.metrics) m
    where s.evaluation = ${evaluation} and s.state = 'summed' group by m.key
    order by count(*) desc, m.key limit ${mostSums}`
  return Object.fromEntries(rows.map(({ name, sum }) => [name, sum]))
}
