import type { RoundDescriptor, ShardPlan } from '@tributary/contracts/round'
import type { Context } from '../context.ts'
import type { Transaction } from '../database/transaction.ts'

/** `round.opened` to each region, with the region's own shards. */
export const announceAttempt = async (
  { outbox }: Pick<Context, 'outbox'>,
  sql: Transaction,
  descriptor: Omit<RoundDescriptor, 'shards'>,
  plans: readonly ShardPlan[],
): Promise<void> => {
  const byRegion = Map.groupBy(plans, plan => plan.region)
  for (const [region, shards] of byRegion) {
    await outbox.appendCommand(sql, region, 'round.opened', { ...descriptor, shards })
  }
}
