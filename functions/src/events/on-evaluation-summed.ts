import type { MessageData } from '@tributary/contracts/envelope'
import type { CentralEvents } from '@tributary/contracts/events'
import type { Context } from '../context.ts'
import { asJson, type Transaction } from '../database/transaction.ts'
import { closeEvaluation } from '../evaluation/close-evaluation.ts'
import { lockEvaluation } from '../evaluation/lock-evaluation.ts'
import { mostSums } from '../evaluation/metric-sums.ts'
import { UnusableEventError } from './unusable-event-error.ts'

/** The evaluators of a shard reported: adds what they found, and closes the evaluation when all shards are in. */
export const onEvaluationSummed = async (
  context: Context,
  sql: Transaction,
  event: MessageData<CentralEvents, 'evaluation.summed'>,
): Promise<void> => {
  const { evaluation, region, shard, epoch, node, metrics } = event
  const known = await lockEvaluation(sql, evaluation)
  if (known === undefined) throw new UnusableEventError('no such evaluation')
  checkMetrics(metrics)
  const summed = await sql`
    update evaluation_shard set state = 'summed', evaluators = ${event.evaluators}, metrics = ${sql.json(asJson(metrics))}
    where evaluation = ${evaluation} and region = ${region} and shard = ${shard} and epoch = ${epoch} and state = 'open'
      and ${known.state} = 'open'
      and exists (select from regional_node n where n.id = ${node} and n.region = ${region} and n.revoked_at is null)`
  if (summed.count === 0) {
    context.log.info(
      { evaluation, region, shard, epoch },
      'evaluation metrics came too late, or twice, and are ignored',
    )
    return
  }
  await closeEvaluation(context, sql, known.task, evaluation, { atOnce: false })
}

/** @throws UnusableEventError */
const checkMetrics = (metrics: MessageData<CentralEvents, 'evaluation.summed'>['metrics']) => {
  const names = Object.keys(metrics).length
  if (names > mostSums) throw new UnusableEventError(`${names} metrics are too many`)
  const { examples = '0', correct = '0' } = metrics
  const [total, right] = [BigInt(examples), BigInt(correct)]
  if (right < 0n || right > total || total > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new UnusableEventError(`${right} correct of ${total} examples is impossible`)
  }
}
