import type { ShardPlan } from '@tributary/contracts/round'
import type { CohortSize } from '@tributary/contracts/tasks'
import { apportion } from '@tributary/learning/apportion'
import { overSelection } from '@tributary/learning/seeded/selection'

/** A leased shard and how many trainers of a task it has. */
export type ShardCapacity = {
  readonly region: string
  readonly shard: number
  readonly epoch: number
  /** Devices that the node sees now. */
  readonly online: number
  /** Enrolled trainers that fit the task's groups. */
  readonly eligible: number
}

export type AttemptPlan =
  | {
      readonly kind: 'open'
      readonly goal: number
      /** Over all shards; also N of the exact sum, so that any split of the devices gives the same exponent. */
      readonly select: number
      readonly shards: readonly ShardPlan[]
    }
  | { readonly kind: 'wait'; readonly detail: string }

/**
 * Divides the wishes of a task over the shards that are leased now (DESIGN section 5). The goal is never below the quorum:
 * a cohort that closes before its quorum could not be committed.
 */
export const planAttempt = (size: CohortSize, capacities: readonly ShardCapacity[]): AttemptPlan => {
  const eligible = capacities.reduce((sum, shard) => sum + shard.eligible, 0)
  const online = capacities.reduce((sum, shard) => sum + shard.online, 0)
  const needed = Math.max(size.minimumToStart, size.quorum)
  if (capacities.length === 0) return { kind: 'wait', detail: 'no regional node leases a shard of the task’s regions' }
  if (Math.min(eligible, online) < needed) {
    return { kind: 'wait', detail: `${eligible} eligible devices, ${online} online; ${needed} are needed` }
  }
  const goal = Math.min(eligible, size.goal ?? Math.max(size.quorum, ceilOfShare(size.fraction, eligible)))
  const select = overSelection(goal, size.overSelection, eligible)
  const weights = capacities.map(shard => shard.eligible)
  const goals = apportion(goal, weights)
  const selects = apportion(select, weights)
  const shards = capacities.map(({ region, shard, epoch }, index) => {
    const shardGoal = goals[index] as number
    // Largest remainders of two totals may differ by one device in the wrong direction.
    return { region, shard, epoch, goal: shardGoal, select: Math.max(shardGoal, selects[index] as number) }
  })
  return { kind: 'open', goal, select, shards: shards.filter(shard => shard.select > 0) }
}

// 0.1 · 30 is a little over 3 in float64; nobody means 4.
const ceilOfShare = (fraction: number, eligible: number): number => Math.max(1, Math.ceil(fraction * eligible - 1e-9))
