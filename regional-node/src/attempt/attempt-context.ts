import type { MessageData, MessageType } from '@tributary/contracts/envelope'
import type { CentralEvents } from '@tributary/contracts/events'
import type { ShardPlan } from '@tributary/contracts/round'
import type { DeviceNotice } from '@tributary/contracts/topics'
import type { LeaseTable } from '../central/lease-table.ts'
import type { Clock } from '../clock.ts'
import type { DeviceDirectory } from '../devices/device-directory.ts'
import type { Presence } from '../devices/presence.ts'
import type { NodeMetrics } from '../health/node-metrics.ts'
import type { NodeIdentity } from '../identity/node-identity.ts'
import type { Receipts } from '../identity/receipts.ts'
import type { Journal } from '../journal/journal.ts'
import type { UpdateWorkers } from '../kernels/update-workers.ts'
import type { Budget } from '../log/budget.ts'
import type { DiskRoom } from '../log/disk-room.ts'
import type { ObjectCache } from '../storage/object-cache.ts'
import type { ObjectStore } from '../storage/object-store.ts'
import type { FoldLimits } from './round/running-sum.ts'

/** Publishes an event to central; resolves once the broker confirmed it. */
export type PublishEvent = <Type extends MessageType<CentralEvents>>(
  type: Type,
  data: MessageData<CentralEvents, Type>,
  signal: AbortSignal,
) => Promise<void>

/** How much an attempt may keep before it is put on disk, and how much must stay free there. */
export type AttemptLimits = {
  readonly fold: FoldLimits
  /** Kept free on the disk for logs and sums: an update is refused before they would lack room. */
  readonly reservedBytes: number
}

/** What the work of a shard needs of the node around it. */
export type AttemptContext = {
  readonly clock: Clock
  readonly identity: NodeIdentity
  readonly receipts: Receipts
  readonly leases: LeaseTable
  readonly directory: DeviceDirectory
  readonly presence: Presence
  readonly cache: ObjectCache
  readonly store: ObjectStore
  readonly workers: UpdateWorkers
  /** Bytes of logs, of spooled updates and of sum files. */
  readonly spoolRoom: Budget
  readonly room: DiskRoom
  /** Bytes of sums in memory, over all attempts; a sum that finds none is a file, worked on by slices. */
  readonly sumMemory: Budget
  readonly limits: AttemptLimits
  readonly publish: PublishEvent
  /** Hints to devices; lost ones do no harm. */
  readonly notify: (devices: Iterable<string>, notice: DeviceNotice) => void
  /** What a status call tells changed in a way that central waits for: tell it now, not with the next call. */
  readonly statusChanged: () => void
  readonly journal: Journal
  readonly metrics: NodeMetrics
  /** What receipts of a shard promised is not there any more: its epoch must end, and devices send again. */
  readonly onShardLost: (place: Pick<ShardPlan, 'shard' | 'epoch'>, error: unknown) => void
  /** The disk does not keep what it was given: the node must stop. */
  readonly onDiskFailure: (error: unknown) => void
}
