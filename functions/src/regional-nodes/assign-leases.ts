/** A shard of a region as the database has it. */
export type ShardLease = {
  readonly shard: number
  readonly node: string | null
  readonly epoch: number
  /** By the database's clock. */
  readonly live: boolean
}

export type LeaseChange = {
  readonly shard: number
  /** `take` starts a new epoch with a new log key. */
  readonly kind: 'renew' | 'take' | 'release'
}

export type LeaseRequest = {
  readonly node: string
  readonly draining: boolean
  /** Epoch by shard of which the node has the log. */
  readonly listed: ReadonlyMap<number, number>
  /** Nodes of the region that are alive and not draining, the caller included. */
  readonly liveNodes: number
}

/** Most shards that a node takes while others of its region are alive. */
export const fairShare = (shards: number, liveNodes: number): number => Math.ceil(shards / Math.max(1, liveNodes))

/**
 * What a status call does to the leases of its region. The caller keeps what it holds with its log, starts anew (epoch + 1)
 * where it lost the log, and takes free or expired shards up to its fair share.
 */
export const assignLeases = (
  shards: readonly ShardLease[],
  { node, draining, listed, liveNodes }: LeaseRequest,
): LeaseChange[] => {
  const mine = shards.filter(shard => shard.node === node)
  if (draining) return mine.filter(({ live }) => live).map(({ shard }) => ({ shard, kind: 'release' }))
  const kept = mine.filter(({ shard, epoch }) => listed.get(shard) === epoch)
  const restarted = mine.filter(shard => shard.live && !kept.includes(shard))
  const share = fairShare(shards.length, liveNodes)
  const free = shards.filter(shard => !kept.includes(shard) && (shard.node === null || !shard.live))
  const taken = free.slice(0, Math.max(0, share - kept.length - restarted.length))
  return [
    ...kept.map(({ shard }) => ({ shard, kind: 'renew' as const })),
    ...[...restarted, ...taken].map(({ shard }) => ({ shard, kind: 'take' as const })),
  ].sort((a, b) => a.shard - b.shard)
}
