import type { DeviceCondition } from '@tributary/contracts/round'
import type { DeviceStatus } from '@tributary/contracts/topics'

/** A device that has not checked in for so long is gone, unless its MQTT session says that it is there. */
const silentMillis = 30_000

export type Dataset = { readonly examples: number; readonly heldOut: boolean }

/** What a device said at its last CheckIn. */
export type Capabilities = {
  readonly datasets: ReadonlyMap<string, Dataset>
  readonly frameworks: ReadonlySet<string>
  /** Those that hold now. */
  readonly conditions: ReadonlySet<DeviceCondition>
  readonly agentVersion: string
  /** sha256 of the certificate that it came with, hex. */
  readonly certificateSha256: string
}

/** What is known of one device that checked in since the node started. */
export type DeviceState = {
  readonly device: string
  readonly capabilities: Capabilities
  readonly online: boolean
  /** Its last word, on the monotonic clock. */
  readonly seenAt: number
}

type Seen = {
  capabilities: Capabilities | undefined
  checkedInAt: number
  /** By MQTT; undefined while no status is known. */
  connected: boolean | undefined
  connectedChangedAt: number
  /** As `onChange` was last told. */
  wasOnline: boolean
}

/**
 * Who is there. A device counts as online once it has checked in, since only then the node knows what it holds; MQTT presence
 * (last wills included) keeps it there between check-ins and takes it away at once. Bounded by the directory: only known
 * devices are entered.
 */
export class Presence {
  readonly #monotonic: () => number
  readonly #isKnown: (device: string) => boolean
  readonly #seen = new Map<string, Seen>()
  readonly #onChange: (device: string) => void

  constructor(monotonic: () => number, isKnown: (device: string) => boolean, onChange: (device: string) => void) {
    this.#monotonic = monotonic
    this.#isKnown = isKnown
    this.#onChange = onChange
  }

  checkedIn(device: string, capabilities: Capabilities): void {
    const seen = this.#entry(device)
    seen.capabilities = capabilities
    seen.checkedInAt = this.#monotonic()
    this.#announce(device, seen)
  }

  /** A status over MQTT, or a last will. Devices that are not in the directory are ignored. */
  reported(device: string, { state }: DeviceStatus): void {
    if (!this.#isKnown(device)) return
    const seen = this.#entry(device)
    seen.connected = state !== 'offline'
    seen.connectedChangedAt = this.#monotonic()
    this.#announce(device, seen)
  }

  /** The node lost its own MQTT session: what it knew from there is stale, retained messages bring it back. */
  forgetConnections(): void {
    for (const seen of this.#seen.values()) seen.connected = undefined
    this.review()
  }

  /** Announces who went silent: nothing else tells. */
  review(): void {
    for (const [device, seen] of this.#seen) this.#announce(device, seen)
  }

  /** What the device said at its last CheckIn, while it is online. */
  capabilities(device: string): Capabilities | undefined {
    return this.online(device) ? this.#seen.get(device)?.capabilities : undefined
  }

  online(device: string): boolean {
    const seen = this.#seen.get(device)
    if (seen?.capabilities === undefined) return false
    if (seen.connected === false && seen.connectedChangedAt > seen.checkedInAt) return false
    return seen.connected === true || this.#monotonic() - seen.checkedInAt < silentMillis
  }

  /** Every device that checked in, whether it is still there or not. */
  *states(): Generator<DeviceState> {
    for (const [device, { capabilities, checkedInAt, connectedChangedAt }] of this.#seen) {
      if (capabilities === undefined) continue
      const seenAt = Math.max(checkedInAt, connectedChangedAt)
      yield { device, capabilities, online: this.online(device), seenAt }
    }
  }

  #announce(device: string, seen: Seen): void {
    const online = this.online(device)
    if (online === seen.wasOnline) return
    seen.wasOnline = online
    this.#onChange(device)
  }

  #entry(device: string): Seen {
    let seen = this.#seen.get(device)
    if (seen === undefined) {
      seen = {
        capabilities: undefined,
        checkedInAt: Number.NEGATIVE_INFINITY,
        connected: undefined,
        connectedChangedAt: Number.NEGATIVE_INFINITY,
        wasOnline: false,
      }
      this.#seen.set(device, seen)
    }
    return seen
  }
}
