import type { RoundDescriptor, ShardPlan } from '@tributary/contracts/round'
import type { Context } from '../context.ts'
import type { Transaction } from '../database/transaction.ts'
import { shardBatches } from '../outbox/shard-batches.ts'

/** `round.opened` to each region, with the region's own shards. */
export const announceAttempt = async (
  { outbox }: Pick<Context, 'outbox'>,
  sql: Transaction,
  descriptor: Omit<RoundDescriptor, 'shards'>,
  plans: readonly ShardPlan[],
): Promise<void> => {
  for (const [region, shards] of shardBatches(plans)) {
    await outbox.appendCommand(sql, region, 'round.opened', { ...descriptor, shards })
  }
}
