import type { ClosingReason } from '../attempt-records.ts'
import type { ShardState } from './shard-state.ts'

/**
 * Until when devices may come, Unix ms, where the shard can serve them from `now` on: whoever takes a shard over waits as long as the
 * holder before did, within the deadline.
 */
export const selectionEnd = ({ descriptor }: Pick<ShardState, 'descriptor'>, now: number): number => {
  const [opened, planned, deadline] = [descriptor.openedAt, descriptor.selectionDeadline, descriptor.deadline].map(at =>
    Date.parse(at),
  ) as [number, number, number]
  return Math.min(deadline, Math.max(planned, now + planned - opened))
}

/** Whether no device can be selected any more. Before the shard waits for devices, only the deadline ends it. */
export const selectionIsOver = ({ selected, plan, descriptor, selectingUntil }: ShardState, now: number): boolean =>
  selected.size >= plan.select || now >= (selectingUntil ?? Date.parse(descriptor.deadline))

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
export const nextMoment = ({ descriptor, selectingUntil }: ShardState, now: number): number => {
  const deadline = Date.parse(descriptor.deadline)
  const moments = [selectingUntil ?? deadline, deadline].filter(at => at > now)
  return moments.length === 0 ? 0 : Math.min(...moments) - now
}
