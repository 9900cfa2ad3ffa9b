import type { SumTotals } from './shard-sum.ts'
import { SumError } from './sum-error.ts'
import { largestWeight, type SumRule } from './sum-rule.ts'

/**
 * Totals of an attempt over its shards.
 * @throws SumError ZERO_TOTAL_WEIGHT when no update weighs anything, SHARD_SUM_MALFORMED when a shard claims what its
 *   updates cannot weigh, SUM_WOULD_OVERFLOW when there are more updates than the exponent allows for
 */
export function attemptTotals(shards: Iterable<SumTotals>, rule: SumRule): SumTotals {
  let updates = 0
  let weight = 0n
  for (const shard of shards) {
    const most = BigInt(shard.updates) * BigInt(largestWeight(rule))
    if (shard.weight < BigInt(shard.updates) || shard.weight > most) {
      const message = `a shard claims weight ${shard.weight} of ${shard.updates} updates; each weighs 1 to ${largestWeight(rule)}`
      throw new SumError('SHARD_SUM_MALFORMED', message)
    }
    updates += shard.updates
    weight += shard.weight
  }
  if (updates > rule.maxUpdates) {
    const message = `the shards hold ${updates} updates; the attempt may accept ${rule.maxUpdates}`
    throw new SumError('SUM_WOULD_OVERFLOW', message)
  }
  if (weight === 0n) throw new SumError('ZERO_TOTAL_WEIGHT', 'no accepted update has examples')
  return { updates, weight }
}
