import type { DirectoryDevice, NodeStatusAnswer } from '@tributary/contracts/node-status'
import { shardOf } from '@tributary/learning/sharding'

/** A device of the region, with the shard that it belongs to. */
export type KnownDevice = Omit<DirectoryDevice, 'sequence'> & { readonly shard: number }

/** The devices of the region as central registered them, kept up by sequence number. */
export class DeviceDirectory {
  readonly #devices = new Map<string, KnownDevice>()
  readonly #onRevoked: (device: KnownDevice) => void
  #sequence = 0
  #shardCount = 1
  #complete = false

  constructor(onRevoked: (device: KnownDevice) => void) {
    this.#onRevoked = onRevoked
  }

  get sequence(): number {
    return this.#sequence
  }

  /** Whether everything registered by the last answer is known. */
  get complete(): boolean {
    return this.#complete
  }

  get shardCount(): number {
    return this.#shardCount
  }

  get size(): number {
    return this.#devices.size
  }

  apply({ directory, shardCount }: Pick<NodeStatusAnswer, 'directory' | 'shardCount'>): void {
    if (shardCount !== this.#shardCount) {
      this.#shardCount = shardCount
      for (const [id, device] of this.#devices) this.#devices.set(id, { ...device, shard: shardOf(id, shardCount) })
    }
    for (const { sequence: _, ...entry } of directory.devices) {
      const before = this.#devices.get(entry.device)
      const device = { ...entry, shard: shardOf(entry.device, shardCount) }
      this.#devices.set(entry.device, device)
      if (device.revoked && before?.revoked === false) this.#onRevoked(device)
    }
    this.#sequence = Math.max(this.#sequence, directory.sequence)
    this.#complete = directory.complete
  }

  /** Revokes at once, ahead of the directory. */
  revoke(id: string): void {
    const device = this.#devices.get(id)
    if (device === undefined || device.revoked) return
    const revoked = { ...device, revoked: true }
    this.#devices.set(id, revoked)
    this.#onRevoked(revoked)
  }

  get(id: string): KnownDevice | undefined {
    return this.#devices.get(id)
  }

  /** Devices of a shard that are not revoked. */
  *ofShard(shard: number, kind: KnownDevice['kind']): Generator<KnownDevice> {
    for (const device of this.#devices.values()) {
      if (device.shard === shard && device.kind === kind && !device.revoked) yield device
    }
  }
}
