import type { ShardSummed } from '@tributary/contracts/events'
import type { AcceptedUpdate, AttemptRecord } from '../attempt-records.ts'
import type { RequestId } from './round-event.ts'

/** What a call that waits is told. Whatever an answer promises is durable when it is given. */
export type Answer =
  /** To `arrived`: the device has work here. */
  | 'work'
  /** To `arrived`: it has none. */
  | 'nothing'
  /** The device is selected and its update is awaited. */
  | 'awaited'
  /** The device is not selected. */
  | 'stranger'
  /** The device's part has ended; the log says how. */
  | 'reported'
  /** To `passed`: the update is durable and in the sum, and the lease is held: the receipt may go out. */
  | 'counted'
  /** The shard has closed. */
  | 'late'
  /** The attempt is being prepared, or the lease renewed. */
  | 'wait'
  /** The disk has no room: nothing changed. */
  | 'full'

/**
 * What the driver must do. All may be begun at once: the machine itself holds back what depends on something durable until the
 * event says that it is. None may be left out, but `notify` and `timer` only cost time when lost.
 */
export type RoundEffect =
  /** Append to the log, in the order of the numbers; tell by `durable` or `unwritten`. A disk that fails otherwise stops the node. */
  | { readonly kind: 'append'; readonly number: number; readonly record: AttemptRecord }
  | { readonly kind: 'answer'; readonly request: RequestId; readonly answer: Answer }
  /** Fetch the attempt's objects, restore the newest sum file, add the updates behind it; tell by `prepared` or `unprepared`. */
  | { readonly kind: 'prepare' }
  /** Add a durable update to the sum; tell by `added`. */
  | { readonly kind: 'add'; readonly number: number; readonly update: AcceptedUpdate }
  /** The device's body is not needed: it was refused, or has no weight. */
  | { readonly kind: 'discard'; readonly device: string }
  /** Write the sum, as it is now, to a new file, durably; tell by `folded` or `unfolded`. Nothing is added meanwhile. */
  | { readonly kind: 'fold'; readonly through: number }
  /** The record of the fold is durable: sum files of records before `through`, and the bodies of updates up to it, go. */
  | { readonly kind: 'drop'; readonly through: number }
  /** Write sum and participation list to object storage, again and again until it is done; tell by `stored`. */
  | { readonly kind: 'store' }
  /** The result is durable in object storage and in the log: every body goes. */
  | { readonly kind: 'dropAll' }
  /** Tell central, and again until the broker confirmed; tell by `published`. */
  | { readonly kind: 'publish'; readonly event: ShardSummed }
  /** Hint to devices that there is work. */
  | { readonly kind: 'notify'; readonly devices: readonly string[] }
  /** The one timer of the attempt: a `moment` at `at` (Unix ms), instead of any before. */
  | { readonly kind: 'timer'; readonly at: number }
