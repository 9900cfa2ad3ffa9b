import {
  type DatasetDescription,
  DatasetDescriptions,
  type DeviceDatasets,
} from '@tributary/contracts/dataset-description'
import type {
  DatasetDescription as DescriptionMessage,
  DatasetDescriptions as DescriptionsMessage,
} from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { Sha256 } from '@tributary/contracts/ids'
import type { LeaseTable } from '../central/lease-table.ts'
import type { Clock } from '../clock.ts'
import type { KnownDevice } from './device-directory.ts'

/** Of one status call, and of all that waits for one: while there is no room, devices are not asked. */
const most = { devices: 200, pageBytes: 128 * 1024, waitingBytes: 4 * 1024 * 1024 } as const
/** A device whose data changes all the time is heard no more often. */
const leastMillis = 60_000

type Told = { readonly key: string; readonly at: number }
type Waiting = { readonly key: string; readonly described: DeviceDatasets; readonly bytes: number }

/**
 * What owners let out about data sets, on its way to central. A device names a digest at every check-in and is asked for the descriptions
 * where central does not know these; they are here only until central has taken them. Of each device that checked in a digest is
 * kept: bounded by the directory, as presence is.
 */
export class DescriptionReport {
  readonly #leases: Pick<LeaseTable, 'epochOf'>
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #told = new Map<string, Told>()
  readonly #waiting = new Map<string, Waiting>()
  #waitingBytes = 0
  #page: ReadonlyMap<string, string> = new Map()

  constructor(leases: Pick<LeaseTable, 'epochOf'>, clock: Pick<Clock, 'monotonic'>) {
    this.#leases = leases
    this.#clock = clock
  }

  /** Whether something waits that no page held yet. */
  get hasMore(): boolean {
    return [...this.#waiting].some(([device, { key }]) => this.#page.get(device) !== key)
  }

  /** Notes what a device says at its check-in. @returns whether it shall send its descriptions with the next */
  heard(
    { device, shard }: Pick<KnownDevice, 'device' | 'shard'>,
    digest: string,
    sent: DescriptionsMessage | undefined,
  ): boolean {
    if (!Sha256.safeParse(digest).success) return false
    // In another epoch of the shard central may never have taken what it was told.
    const key = `${shard} ${this.#leases.epochOf(shard)} ${digest}`
    const told = this.#told.get(device)
    if (told?.key === key || this.#waiting.get(device)?.key === key) return false
    const now = this.#clock.monotonic()
    if (told !== undefined && now - told.at < leastMillis) return false
    if (this.#waitingBytes >= most.waitingBytes) return false
    if (sent?.digest !== digest) return true
    const datasets = readDescriptions(sent)
    // What no agent of ours sends is not asked for again.
    if (datasets === undefined) this.#told.set(device, { key, at: now })
    else
      this.#wait(device, {
        key,
        described: { device, digest, datasets },
        bytes: Buffer.byteLength(JSON.stringify(datasets)),
      })
    return false
  }

  /** The next page, of devices that have waited longest. */
  next(): DeviceDatasets[] {
    const page: DeviceDatasets[] = []
    const keys = new Map<string, string>()
    let sum = 0
    for (const [device, { key, described, bytes }] of this.#waiting) {
      sum += bytes
      if (page.length > 0 && (page.length === most.devices || sum > most.pageBytes)) break
      page.push(described)
      keys.set(device, key)
    }
    this.#page = keys
    return page
  }

  /** The call that carried the last page was answered. */
  confirmed(): void {
    const at = this.#clock.monotonic()
    for (const [device, key] of this.#page) {
      this.#told.set(device, { key, at })
      if (this.#waiting.get(device)?.key === key) this.#drop(device)
    }
    this.#page = new Map()
  }

  #wait(device: string, waiting: Waiting): void {
    this.#drop(device)
    this.#waiting.set(device, waiting)
    this.#waitingBytes += waiting.bytes
  }

  #drop(device: string): void {
    this.#waitingBytes -= this.#waiting.get(device)?.bytes ?? 0
    this.#waiting.delete(device)
  }
}

/** Undefined where it is more, or other, than a device may tell. */
const readDescriptions = ({ datasets }: DescriptionsMessage): DatasetDescription[] | undefined =>
  DatasetDescriptions.safeParse(datasets.map(ofMessage)).data

const ofMessage = ({ name, schema, labelCounts }: DescriptionMessage) => ({
  name,
  ...(schema && {
    schema: {
      format: schema.format,
      shape: schema.shape.map(Number),
      dtype: schema.dtype,
      ...(schema.columns.length > 0 && { columns: schema.columns }),
      label: {
        kind: schema.labelKind,
        size: schema.labels,
        ...(schema.classes > 0 && { classes: schema.classes }),
        ...(schema.classNames.length > 0 && { classNames: schema.classNames }),
      },
    },
  }),
  ...(labelCounts.length > 0 && { labelCounts: labelCounts.map(Number) }),
})
