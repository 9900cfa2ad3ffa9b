import type { AttemptRecord } from '../attempt-records.ts'
import type { RequestId } from './round-event.ts'

export type TrackedRecord = { readonly number: number; readonly record: AttemptRecord }

/** A call that waits for a record: for work to be had, for a receipt, or for what the part of a device is. */
export type Waiter = {
  readonly request: RequestId
  readonly device: string
  readonly wants: 'work' | 'receipt' | 'report'
}

/**
 * Records on their way: to the disk, oldest first, and for each device the one that is not settled yet, which for an update also means
 * in the sum. Who asks of such a device waits.
 */
export class RecordTrack {
  #pending: TrackedRecord[] = []
  readonly #unsettled = new Map<string, number>()
  readonly #waiters = new Map<number, Waiter[]>()

  /** Whether nothing is on its way to the disk. */
  get isEmpty(): boolean {
    return this.#pending.length === 0
  }

  append(tracked: TrackedRecord): void {
    this.#pending.push(tracked)
    for (const device of devicesOf(tracked.record)) this.#unsettled.set(device, tracked.number)
  }

  /** Whether a record up to `through` is on its way to the disk. */
  isPendingThrough(through: number): boolean {
    return (this.#pending[0]?.number ?? Number.POSITIVE_INFINITY) <= through
  }

  /** Takes the records up to `through` off the way. */
  take(through: number): TrackedRecord[] {
    const taken: TrackedRecord[] = []
    while (this.isPendingThrough(through)) taken.push(this.#pending.shift() as TrackedRecord)
    return taken
  }

  /** The record of a device that is not settled. */
  unsettledOf(device: string): number | undefined {
    return this.#unsettled.get(device)
  }

  wait(number: number, waiter: Waiter): void {
    const waiters = this.#waiters.get(number)
    if (waiters === undefined) this.#waiters.set(number, [waiter])
    else waiters.push(waiter)
  }

  /** The record is settled, or was never written: gives back who waited for it. */
  end(number: number, devices: Iterable<string>): Waiter[] {
    for (const device of devices) this.#unsettled.delete(device)
    const waiters = this.#waiters.get(number) ?? []
    this.#waiters.delete(number)
    return waiters
  }
}

/** Devices whose part a record changes. */
export const devicesOf = (record: AttemptRecord): readonly string[] => {
  if (record.kind === 'selected') return record.devices.map(({ device }) => device)
  return 'device' in record ? [record.device] : []
}
