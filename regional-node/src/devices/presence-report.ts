import { Slug } from '@tributary/contracts/ids'
import type { DevicePresence } from '@tributary/contracts/node-status'
import type { LeaseTable } from '../central/lease-table.ts'
import type { Clock } from '../clock.ts'
import type { DeviceDirectory } from './device-directory.ts'
import type { Capabilities, DeviceState, Presence } from './presence.ts'

/** What the contract takes of one device; a device may say more, which is cut. */
const most = { devices: 200, datasets: 64, frameworks: 8, text: 40 } as const
/** Of one call's presence: its body is 1 MiB at most, all in all. */
const mostBytes = 256 * 1024

type Told = { readonly key: string; readonly turn: number }

/**
 * What central has not been told yet of the devices of the shards that the node leases. A device counts as told once the call that
 * named it was answered, so a failed call is made good by the next; another epoch of the shard voids what was told before.
 */
export class PresenceReport {
  readonly #presence: Presence
  readonly #directory: Pick<DeviceDirectory, 'get'>
  readonly #leases: Pick<LeaseTable, 'epochOf'>
  readonly #clock: Pick<Clock, 'now' | 'monotonic'>
  readonly #told = new Map<string, Told>()
  /** Keys of the page that was handed out last. */
  #page = new Map<string, string>()
  #turn = 0
  #hasMore = false

  constructor(
    presence: Presence,
    directory: Pick<DeviceDirectory, 'get'>,
    leases: Pick<LeaseTable, 'epochOf'>,
    clock: Pick<Clock, 'now' | 'monotonic'>,
  ) {
    this.#presence = presence
    this.#directory = directory
    this.#leases = leases
    this.#clock = clock
  }

  /** Whether more waits than the last page could hold. */
  get hasMore(): boolean {
    return this.#hasMore
  }

  /** The next page: those first that were told longest ago, so that a few that change all the time do not keep others out. */
  next(): DevicePresence[] {
    const changed: { state: DeviceState; key: string; turn: number }[] = []
    for (const state of this.#presence.states()) {
      const key = this.#keyOf(state)
      const told = this.#told.get(state.device)
      if (key !== undefined && told?.key !== key) changed.push({ state, key, turn: told?.turn ?? -1 })
    }
    changed.sort((a, b) => a.turn - b.turn)
    const page: DevicePresence[] = []
    this.#page = new Map()
    let bytes = 0
    for (const { state, key } of changed) {
      const entry = this.#entryOf(state)
      bytes += Buffer.byteLength(JSON.stringify(entry))
      if (page.length === most.devices || bytes > mostBytes) break
      page.push(entry)
      this.#page.set(state.device, key)
    }
    this.#hasMore = page.length < changed.length
    return page
  }

  /** The call that carried the last page was answered. */
  confirmed(): void {
    this.#turn += 1
    for (const [device, key] of this.#page) this.#told.set(device, { key, turn: this.#turn })
    this.#page = new Map()
  }

  /** One text for all that central would be told; undefined where this node does not speak for the device. */
  #keyOf({ device, capabilities, online }: DeviceState): string | undefined {
    const known = this.#directory.get(device)
    if (known === undefined || known.revoked) return undefined
    const epoch = this.#leases.epochOf(known.shard)
    return epoch === undefined ? undefined : `${known.shard} ${epoch} ${online} ${fingerprintOf(capabilities)}`
  }

  #entryOf({ device, capabilities, online, seenAt }: DeviceState): DevicePresence {
    const now = this.#clock.now() - Math.max(0, this.#clock.monotonic() - seenAt)
    return { device, online, seenAt: new Date(now).toISOString(), ...wireOf(capabilities) }
  }
}

const wireOf = ({ agentVersion, frameworks, datasets, conditions, certificateSha256 }: Capabilities) => ({
  agentVersion: agentVersion.slice(0, most.text),
  frameworks: [...frameworks].filter(({ length }) => length <= most.text).slice(0, most.frameworks),
  datasets: [...datasets]
    .filter(([name]) => Slug.safeParse(name).success)
    .slice(0, most.datasets)
    .map(([name, { examples, heldOut }]) => ({ name, examples: Math.min(examples, Number.MAX_SAFE_INTEGER), heldOut })),
  conditions: [...conditions],
  certificateSha256,
})

/** A check-in makes new objects: their texts are made once each. */
const fingerprints = new WeakMap<Capabilities, string>()

const fingerprintOf = (capabilities: Capabilities): string => {
  const known = fingerprints.get(capabilities)
  if (known !== undefined) return known
  const text = JSON.stringify(wireOf(capabilities))
  fingerprints.set(capabilities, text)
  return text
}
