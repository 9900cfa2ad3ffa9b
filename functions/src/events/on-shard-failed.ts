import type { MessageData } from '@tributary/contracts/envelope'
import type { CentralEvents } from '@tributary/contracts/events'
import type { Context } from '../context.ts'
import { storable } from '../database/storable.ts'
import { asJson, type Transaction } from '../database/transaction.ts'
import { decideAttempt } from '../rounds/decide-attempt.ts'
import { lockShardOfAttempt } from './shard-of-attempt.ts'

/** A shard cannot play its part (disk full, base not readable): the attempt goes on without it if the quorum holds. */
export const onShardFailed = async (
  context: Context,
  sql: Transaction,
  event: MessageData<CentralEvents, 'shard.failed'>,
): Promise<void> => {
  const { task, round, attempt, region, shard, code, detail } = event
  const known = await lockShardOfAttempt(sql, event)
  if (known === undefined) return
  await sql`
    update attempt_shard set state = 'failed', reported_at = greatest(now(), first_accepted_at),
      reason = ${sql.json(asJson(storable({ code, detail })))}
    where task = ${task} and round = ${round} and attempt = ${attempt} and region = ${region} and shard = ${shard}`
  context.log.warn({ task, round, attempt, region, shard, code, detail }, 'a shard failed')
  await decideAttempt(context, sql, known.task, { task, round, attempt })
}
