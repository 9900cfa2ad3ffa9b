import type { ShardSummed } from '@tributary/contracts/events'
import type { AcceptedUpdate, FailedDevice, FoldedSum, InvalidUpdate } from '../attempt-records.ts'

/** What the world is like when an event is taken: the machine has no clock and no lease table of its own. */
export type Moment = {
  /** Central's time, Unix milliseconds. */
  readonly now: number
  /** Whether the node holds the lease on the shard, in the attempt's epoch. */
  readonly leased: boolean
}

/** Names a call that waits for an `answer`; the machine gives it back and does not look at it. */
export type RequestId = number

export type Candidate = { readonly device: string; readonly label: string }

/** What happens to one shard's part of one attempt. */
export type RoundEvent =
  /** The log is open and replayed: the work begins. Once a life. */
  | { readonly kind: 'started' }
  /** The attempt's objects are at hand and the sum holds every accepted update. `candidates` are online and eligible, in any order. */
  | { readonly kind: 'prepared'; readonly candidates: readonly Candidate[] }
  /** The objects did not come before the deadline, and nothing was accepted. */
  | { readonly kind: 'unprepared' }
  /**
   * A device asks for work. What follows counts only where it is not selected yet. `proven`: an earlier epoch of this attempt took its
   * update, so it was selected, and is again, whatever has become of the selection.
   */
  | ({
      readonly kind: 'arrived'
      readonly request: RequestId
      readonly eligible: boolean
      readonly proven: boolean
    } & Candidate)
  /** What is the part of a device: before an upload, and after it. */
  | { readonly kind: 'asked'; readonly request: RequestId; readonly device: string }
  /** An update passed every check, its body is durable and its receipt signed. */
  | { readonly kind: 'passed'; readonly request: RequestId; readonly update: AcceptedUpdate }
  /** An update was found wrong for good. */
  | { readonly kind: 'refused'; readonly request: RequestId; readonly update: InvalidUpdate }
  /** A device says that it cannot do its part. */
  | { readonly kind: 'declined'; readonly request: RequestId; readonly failure: FailedDevice }
  /** Every record up to `through` is durable. */
  | { readonly kind: 'durable'; readonly through: number }
  /** The records that wait, up to `through`, found no room on the disk; nothing of them was written. */
  | { readonly kind: 'unwritten'; readonly through: number }
  /** The update of record `number` is in the sum. */
  | { readonly kind: 'added'; readonly number: number }
  /** A durable file holds the sum of all updates up to `through`. */
  | { readonly kind: 'folded'; readonly through: number; readonly sum: FoldedSum }
  /** There was no room for the sum file. */
  | { readonly kind: 'unfolded' }
  /** The disk is short of room: what can be folded shall be. */
  | { readonly kind: 'short' }
  /** Sum and participation list are in object storage. */
  | { readonly kind: 'stored'; readonly event: ShardSummed }
  /** The broker confirmed the event. */
  | { readonly kind: 'published' }
  /** A timer fired, or the lease was renewed. */
  | { readonly kind: 'moment' }
