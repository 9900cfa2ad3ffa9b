import { leaseTimes, type NodeStatusAnswer } from '@tributary/contracts/node-status'

type Lease = { readonly epoch: number; readonly until: number }

/**
 * The shards that this node leases, by its own monotonic clock. A lease is counted from the moment its request was *sent* and
 * stops well before central's ends (13 of 20 s), so that two nodes never hold one shard, whatever answers are delayed.
 */
export class LeaseTable {
  readonly #monotonic: () => number
  #leases = new Map<number, Lease>()
  #others = new Map<number, string>()

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic
  }

  /** Takes over central's answer to a request that was sent at `sentAt` (monotonic ms). */
  renew({ leases, otherShards }: Pick<NodeStatusAnswer, 'leases' | 'otherShards'>, sentAt: number): void {
    const stopShare = leaseTimes.stopSeconds / leaseTimes.leaseSeconds
    this.#leases = new Map(
      leases.map(({ shard, epoch, leaseSeconds }) => [
        shard,
        { epoch, until: sentAt + leaseSeconds * stopShare * 1000 },
      ]),
    )
    this.#others = new Map(otherShards.map(({ shard, endpoint }) => [shard, endpoint]))
  }

  /** Gives up the lease on a shard: what was kept under it is lost. */
  drop(shard: number): void {
    this.#leases.delete(shard)
  }

  /** Gives up every lease, as a draining node does. */
  release(): void {
    this.#leases.clear()
  }

  /** Epoch of the last lease on a shard, held or run out; undefined where the last answer gave none. */
  epochOf(shard: number): number | undefined {
    return this.#leases.get(shard)?.epoch
  }

  /** Whether the node may change the shard's part of an attempt now. */
  holds(shard: number, epoch: number): boolean {
    const lease = this.#leases.get(shard)
    return lease !== undefined && lease.epoch === epoch && this.#monotonic() < lease.until
  }

  /** Where another node serves the shard; empty while nobody is known to. */
  endpointOf(shard: number): string {
    return this.#others.get(shard) ?? ''
  }

  /** Milliseconds until the last lease stops; 0 when none is held. */
  get remainingMillis(): number {
    const now = this.#monotonic()
    return Math.max(0, ...[...this.#leases.values()].map(({ until }) => until - now))
  }

  get shards(): { shard: number; epoch: number }[] {
    return [...this.#leases].map(([shard, { epoch }]) => ({ shard, epoch }))
  }
}
