import type { ClosingReason } from '../attempt-records.ts'
import type { ShardState } from './shard-state.ts'

/** Whether no device can be selected any more. */
export const selectionIsOver = ({ selected, plan, descriptor }: ShardState, now: number): boolean =>
  selected.size >= plan.select ||
  now >= Math.min(Date.parse(descriptor.selectionDeadline), Date.parse(descriptor.deadline))

/** Accepted updates that close the shard: its goal, or everybody where fewer came than planned. */
export const effectiveGoal = (state: ShardState, now: number): number =>
  selectionIsOver(state, now) ? Math.min(state.plan.goal, state.selected.size) : state.plan.goal

/**
 * The one rule by which a shard closes: at its goal; when everybody who was selected has reported; at the deadline. A shard
 * reports what it has, even nothing; only central abandons.
 */
export const closingReason = (state: ShardState, now: number): ClosingReason | null => {
  if (state.accepted >= effectiveGoal(state, now)) return 'goal'
  if (selectionIsOver(state, now) && state.reported >= state.selected.size) return 'everybody'
  return now >= Date.parse(state.descriptor.deadline) ? 'deadline' : null
}

/** Milliseconds from `now` until a clock alone may close the shard or end its selection. */
export const nextMoment = ({ descriptor }: ShardState, now: number): number => {
  const moments = [Date.parse(descriptor.selectionDeadline), Date.parse(descriptor.deadline)].filter(at => at > now)
  return moments.length === 0 ? 0 : Math.min(...moments) - now
}
