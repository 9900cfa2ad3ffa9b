export type AttemptState = 'open' | 'collecting' | 'closing' | 'committed' | 'abandoned'
export type AttemptEvent = 'collect' | 'close' | 'commit' | 'abandon'

/** For each event the states it may come in and the state it leads to: the `where` and `set` of one conditional update. */
export const ATTEMPT_MOVES: {
  readonly [E in AttemptEvent]: { readonly from: readonly AttemptState[]; readonly to: AttemptState }
} = {
  /** The first region took the attempt up. */
  collect: { from: ['open'], to: 'collecting' },
  /** The last shard sum is in, or the quorum at the deadline: the merge starts. */
  close: { from: ['collecting'], to: 'closing' },
  commit: { from: ['closing'], to: 'committed' },
  abandon: { from: ['open', 'collecting', 'closing'], to: 'abandoned' },
}

/** Settled: nothing changes any more. */
export const SETTLED_ATTEMPT_STATES: readonly AttemptState[] = ['committed', 'abandoned']

export function canMoveAttempt(from: AttemptState, event: AttemptEvent): boolean {
  return ATTEMPT_MOVES[event].from.includes(from)
}
