import type { ShardSummed } from '@tributary/contracts/events'
import type { RoundDescriptor, ShardPlan } from '@tributary/contracts/round'
import type { AcceptedUpdate, AttemptRecord, ClosingReason, FailedDevice, InvalidUpdate } from './attempt-records.ts'

export type Report =
  | ({ readonly verdict: 'accepted' } & AcceptedUpdate)
  | ({ readonly verdict: 'invalid' } & InvalidUpdate)
  | ({ readonly verdict: 'failed' } & FailedDevice)

/**
 * What the log says about one shard's part of an attempt. Built by `apply` alone, record by record, so that a replay gives
 * the state that was.
 */
export class ShardState {
  readonly descriptor: RoundDescriptor
  readonly plan: ShardPlan
  /** Label by device. */
  readonly selected = new Map<string, string>()
  readonly reports = new Map<string, Report>()
  closing: ClosingReason | undefined
  summed: ShardSummed | undefined
  /** Updates of weight above zero. */
  accepted = 0
  empty = 0
  invalid = 0
  failed = 0

  constructor(descriptor: RoundDescriptor, plan: ShardPlan) {
    this.descriptor = descriptor
    this.plan = plan
  }

  apply(record: AttemptRecord): void {
    switch (record.kind) {
      case 'opened':
        return
      case 'selected':
        for (const { device, label } of record.devices) this.selected.set(device, label)
        return
      case 'accepted': {
        const { kind: _, ...update } = record
        this.reports.set(update.device, { verdict: 'accepted', ...update })
        if (update.weight > 0) this.accepted += 1
        else this.empty += 1
        return
      }
      case 'invalid': {
        const { kind: _, ...update } = record
        this.reports.set(update.device, { verdict: 'invalid', ...update })
        this.invalid += 1
        return
      }
      case 'failed': {
        const { kind: _, ...failure } = record
        this.reports.set(failure.device, { verdict: 'failed', ...failure })
        this.failed += 1
        return
      }
      case 'closing':
        this.closing = record.reason
        return
      case 'summed':
        this.summed = record.event
        return
    }
  }

  /** Selected, and not heard of yet. */
  awaits(device: string): boolean {
    return this.selected.has(device) && !this.reports.has(device)
  }
}
