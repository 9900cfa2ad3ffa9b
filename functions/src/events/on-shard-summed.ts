import type { ShardSummed } from '@tributary/contracts/events'
import type { Context } from '../context.ts'
import { asJson, type Transaction } from '../database/transaction.ts'
import { decideAttempt } from '../rounds/decide-attempt.ts'
import { recordLateList } from './record-late-list.ts'
import { lockShardOfAttempt, type ShardRow } from './shard-of-attempt.ts'
import { UnusableEventError } from './unusable-event-error.ts'

/** A shard closed and wrote its sum: records it and looks whether the attempt is complete. */
export const onShardSummed = async (context: Context, sql: Transaction, event: ShardSummed): Promise<void> => {
  const { task, round, attempt, region, shard, epoch } = event
  const known = await lockShardOfAttempt(sql, event)
  if (known === undefined) {
    const late = await recordLateList(context, sql, event)
    const what = late
      ? 'a shard sum came too late and is not counted'
      : 'a shard sum came twice, or is void, and is ignored'
    context.log.info({ task, round, attempt, region, shard, epoch }, what)
    return
  }
  checkClaims(event, known.shard)
  const { sum, participation } = event
  await sql`
    update attempt_shard set state = 'summed', object_key = ${sum?.objectKey ?? null}, sha256 = ${sum?.sha256 ?? null},
      bytes = ${sum?.bytes ?? null}, participation_key = ${participation.objectKey},
      participation_sha256 = ${participation.sha256}, participation_bytes = ${participation.bytes},
      weight = ${event.weight}, accepted = ${event.accepted}, selected = ${event.selected}, empty = ${event.empty},
      metrics = ${sql.json(asJson(event.metrics))}, reported_at = greatest(now(), first_accepted_at),
      first_accepted_at = coalesce(first_accepted_at, case when ${event.accepted > 0} then now() end)
    where task = ${task} and round = ${round} and attempt = ${attempt} and region = ${region} and shard = ${shard}`
  await decideAttempt(context, sql, known.task, { task, round, attempt })
}

/** @throws UnusableEventError when a node claims what its shard cannot hold, or another shard's objects */
const checkClaims = (event: ShardSummed, { maxUpdates, largestWeight }: ShardRow): void => {
  const { task, round, attempt, region, shard, epoch, sum, participation, accepted } = event
  const prefix = `sums/${task}/${round}-${attempt}/${region}-${shard}-${epoch}`
  const weight = BigInt(event.weight)
  if (participation.objectKey !== `${prefix}.participation.jsonl`) {
    throw new UnusableEventError('the participation list is not under the key of this shard and epoch')
  }
  if (sum !== null && sum.objectKey !== `${prefix}.safetensors`) {
    throw new UnusableEventError('the sum is not under the key of this shard and epoch')
  }
  // Every accepted update weighs at least one.
  if (weight < BigInt(accepted) || weight > BigInt(accepted) * BigInt(largestWeight) || accepted > maxUpdates) {
    throw new UnusableEventError(`weight ${weight} of ${accepted} updates is impossible in this attempt`)
  }
  if (accepted > 0 && sum === null) throw new UnusableEventError('updates were accepted, but there is no sum')
}
