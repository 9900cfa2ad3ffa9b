import type { MetricSums } from '@tributary/contracts/round'
import type { Context } from '../context.ts'
import { asJson, type Transaction } from '../database/transaction.ts'
import { systemActor } from '../rounds/system-actor.ts'
import { addMetricSums } from './metric-sums.ts'

/**
 * Adds up what the shards of an open evaluation found, and closes it when all are in, or `atOnce`. The caller holds the
 * evaluation's lock. The sum is taken anew each time, so that nothing can count twice.
 */
export const closeEvaluation = async (
  { audit }: Pick<Context, 'audit'>,
  sql: Transaction,
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
  audit.append(sql, { actor: systemActor, action: 'evaluation.closed', subject: `evaluation/${evaluation}`, detail })
}
