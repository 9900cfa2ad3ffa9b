import type { ShardPlan } from '@tributary/contracts/round'
import type { CohortSize } from '@tributary/contracts/tasks'
import { apportion } from '@tributary/learning/apportion'
import { overSelection } from '@tributary/learning/seeded/selection'

/** A shard that a node serves now. */
export type LeasedShard = {
  readonly region: string
  readonly shard: number
  readonly epoch: number
  /** Trainers that the node sees now. */
  readonly online: number
}

export type ShardCapacity = LeasedShard & {
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

/** Why nobody can begin yet, as far as the shards alone tell; null when enough devices are online. */
export const shortageOnline = (size: CohortSize, shards: readonly LeasedShard[]): string | null => {
  if (shards.length === 0) return 'no regional node leases a shard of the task’s regions'
  const online = shards.reduce((sum, shard) => sum + shard.online, 0)
  return online < neededBy(size) ? `${online} devices are online, ${neededBy(size)} are needed` : null
}

/**
 * Divides the wishes of a task over the shards that are leased now (DESIGN section 5). The goal is never below the quorum:
 * a cohort that closes before its quorum could not be committed.
 */
export const planAttempt = (size: CohortSize, capacities: readonly ShardCapacity[]): AttemptPlan => {
  const shortage = shortageOnline(size, capacities)
  if (shortage !== null) return { kind: 'wait', detail: shortage }
  const eligible = capacities.reduce((sum, shard) => sum + shard.eligible, 0)
  if (eligible < neededBy(size)) {
    return { kind: 'wait', detail: `${eligible} eligible devices are enrolled, ${neededBy(size)} are needed` }
  }
  const goal = Math.min(eligible, size.goal ?? Math.max(size.quorum, ceilOfShare(size.fraction, eligible)))
  const select = overSelection(goal, size.overSelection, eligible)
  const goals = apportion(
    goal,
    capacities.map(shard => shard.eligible),
  )
  // What is asked beyond the goal is divided by itself: largest remainders of two totals may give a shard less of the larger
  // one, and its goal on top would ask more devices than the exact sum has room for.
  const extras = apportion(
    select - goal,
    capacities.map((shard, index) => shard.eligible - (goals[index] as number)),
  )
  const shards = capacities.map(({ region, shard, epoch }, index) => {
    const shardGoal = goals[index] as number
    return { region, shard, epoch, goal: shardGoal, select: shardGoal + (extras[index] as number) }
  })
  return { kind: 'open', goal, select, shards: shards.filter(shard => shard.select > 0) }
}

const neededBy = ({ minimumToStart, quorum }: CohortSize): number => Math.max(minimumToStart, quorum)

// 0.1 · 30 is a little over 3 in float64; nobody means 4.
const ceilOfShare = (fraction: number, eligible: number): number => Math.max(1, Math.ceil(fraction * eligible - 1e-9))
