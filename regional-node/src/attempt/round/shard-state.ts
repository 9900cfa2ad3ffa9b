import type { ShardSummed } from '@tributary/contracts/events'
import type { RoundDescriptor, ShardPlan } from '@tributary/contracts/round'
import type {
  AcceptedUpdate,
  AttemptRecord,
  ClosingReason,
  FailedDevice,
  FoldedSum,
  InvalidUpdate,
} from '../attempt-records.ts'
import { DeviceTable } from './device-table.ts'
import { MetricTotals } from './metric-totals.ts'

/** How a device's part ended, with all that was said of it: read from the log, not kept in memory. */
export type Report =
  | ({ readonly verdict: 'accepted' } & AcceptedUpdate)
  | ({ readonly verdict: 'invalid' } & InvalidUpdate)
  | ({ readonly verdict: 'failed' } & FailedDevice)

const awaited = 1
const reported = 2

/**
 * What the log says about one shard's part of an attempt, in constant memory but for a table of the devices. Built from records
 * alone, one by one, so that a replay gives the state that was. `apply` is undone by `revert` where a record found no room on the disk,
 * and made good by `settle` once it is durable.
 */
export class ShardState {
  readonly descriptor: RoundDescriptor
  readonly plan: ShardPlan
  readonly selected = new DeviceTable()
  /** Devices may come until then, Unix ms; undefined before the shard waits for any. */
  selectingUntil: number | undefined
  closing: ClosingReason | undefined
  summed: ShardSummed | undefined
  /** The newest sum file, and the last record whose update is in it. */
  folded: { readonly through: number; readonly sum: FoldedSum } | undefined
  /** Updates of weight above zero. */
  accepted = 0
  empty = 0
  invalid = 0
  failed = 0
  /** Metrics of durable updates of weight above zero. */
  readonly metrics = new MetricTotals()

  constructor(descriptor: RoundDescriptor, plan: ShardPlan) {
    this.descriptor = descriptor
    this.plan = plan
  }

  /** Devices whose part has ended. */
  get reported(): number {
    return this.accepted + this.empty + this.invalid + this.failed
  }

  apply(record: AttemptRecord): void {
    switch (record.kind) {
      case 'opened':
        return
      case 'selected':
        for (const { device } of record.devices) this.selected.set(device, awaited)
        return
      case 'accepted':
      case 'invalid':
      case 'failed':
        this.selected.set(record.device, reported)
        this.#count(record, 1)
        return
      case 'selecting':
        this.selectingUntil = record.until
        return
      case 'closing':
        this.closing = record.reason
        return
      case 'summed':
        this.summed = record.event
        return
      case 'folded':
        return
    }
  }

  /** Takes back what `apply` did, newest first. */
  revert(record: AttemptRecord): void {
    switch (record.kind) {
      case 'selected':
        for (const { device } of record.devices) this.selected.set(device, 0)
        return
      case 'accepted':
      case 'invalid':
      case 'failed':
        this.selected.set(record.device, awaited)
        this.#count(record, -1)
        return
      case 'selecting':
        this.selectingUntil = undefined
        return
      case 'closing':
        this.closing = undefined
        return
      case 'summed':
        this.summed = undefined
        return
      case 'opened':
      case 'folded':
        return
    }
  }

  /** What only a durable record does. */
  settle(record: AttemptRecord): void {
    if (record.kind === 'accepted' && record.weight > 0) this.metrics.add(record.metrics)
    if (record.kind === 'folded') this.folded = { through: record.through, sum: record.sum }
  }

  /** Selected, and not heard of yet. */
  awaits(device: string): boolean {
    return this.selected.get(device) === awaited
  }

  #count(record: Extract<AttemptRecord, { kind: 'accepted' | 'invalid' | 'failed' }>, step: 1 | -1): void {
    if (record.kind === 'accepted') this[record.weight > 0 ? 'accepted' : 'empty'] += step
    else this[record.kind] += step
  }
}
