import { createHash } from 'node:crypto'
import { DeploymentReport } from '@tributary/contracts/deployments'
import type { DeploymentState } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import type { LeaseTable } from '../central/lease-table.ts'
import type { KnownDevice } from '../devices/device-directory.ts'
import { personalisedReport } from './personalised-report.ts'

/** Of one status call: its body is 1 MiB at most, all in all. */
const most = { reports: 500, bytes: 256 * 1024, detail: 500 } as const

type Waiting = { readonly key: string; readonly reports: readonly DeploymentReport[] }

/**
 * What devices said of deployed versions and central has not been told. Devices repeat their states at every check-in, so only changes
 * go on; what was sent counts as told once the call was answered, and a restart tells everything once more. Of each device that
 * checked in a short digest is kept: bounded by the directory, as presence is.
 */
export class DeploymentReports {
  readonly #leases: Pick<LeaseTable, 'epochOf'>
  readonly #told = new Map<string, string>()
  readonly #waiting = new Map<string, Waiting>()
  /** Keys of the devices that the last page held. */
  #page: ReadonlyMap<string, string> = new Map()

  constructor(leases: Pick<LeaseTable, 'epochOf'>) {
    this.#leases = leases
  }

  /** Whether something waits that no page held yet. */
  get hasMore(): boolean {
    return [...this.#waiting].some(([device, { key }]) => this.#page.get(device) !== key)
  }

  /** Notes what a device says at its check-in. @returns whether it is unhealthy news, which should not wait */
  heard({ device, shard }: Pick<KnownDevice, 'device' | 'shard'>, states: readonly DeploymentState[]): boolean {
    const reports = states.flatMap(state => readReport(device, state))
    if (reports.length === 0) {
      this.#told.delete(device)
      this.#waiting.delete(device)
      return false
    }
    // In another epoch of the shard central may never have taken what it was told.
    const key = digest(JSON.stringify([shard, this.#leases.epochOf(shard), reports]))
    if (this.#told.get(device) === key) {
      this.#waiting.delete(device)
      return false
    }
    const news = this.#waiting.get(device)?.key !== key
    this.#waiting.set(device, { key, reports })
    return news && reports.some(({ state }) => state === 'unhealthy')
  }

  /** The next page, of devices that have waited longest. */
  next(): DeploymentReport[] {
    const page: DeploymentReport[] = []
    const keys = new Map<string, string>()
    let bytes = 0
    for (const [device, { key, reports }] of this.#waiting) {
      bytes += Buffer.byteLength(JSON.stringify(reports))
      if (page.length > 0 && (page.length + reports.length > most.reports || bytes > most.bytes)) break
      page.push(...reports)
      keys.set(device, key)
    }
    this.#page = keys
    return page
  }

  /** The call that carried the last page was answered. */
  confirmed(): void {
    for (const [device, key] of this.#page) {
      this.#told.set(device, key)
      if (this.#waiting.get(device)?.key === key) this.#waiting.delete(device)
    }
    this.#page = new Map()
  }
}

const readReport = (
  device: string,
  { deployment, revision, state, detail, personalised: message }: DeploymentState,
): DeploymentReport[] => {
  const text = detail.slice(0, most.detail)
  const personalised = personalisedReport(message)
  const parsed = DeploymentReport.safeParse({
    deployment,
    revision,
    device,
    state,
    ...(text && { detail: text }),
    ...(personalised && { personalised }),
  })
  // An agent of a later version may know of more states.
  return parsed.success ? [parsed.data] : []
}

const digest = (text: string): string => createHash('sha256').update(text).digest('base64').slice(0, 22)
