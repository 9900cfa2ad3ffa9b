import { fairShare, type LeaseChange, type LeaseRequest, type ShardLease } from './assign-leases.ts'

/**
 * Shards that the caller takes from nodes that hold more than their fair share, up to its own. The holder is not asked: it learns
 * from its next answer that it leases them no more, and until then its epoch is void. So only idle shards may go, of which it
 * has nothing that would be lost.
 * @param own shards that the caller holds already
 * @param isBusy whether a shard has a part in an attempt that it has not reported
 */
export const takeSurplus = (
  shards: readonly ShardLease[],
  { node, draining, liveNodes }: LeaseRequest,
  own: number,
  isBusy: (shard: number) => boolean,
): LeaseChange[] => {
  const share = fairShare(shards.length, liveNodes)
  if (draining || own >= share) return []
  const others = shards.filter(shard => shard.live && shard.node !== null && shard.node !== node)
  const surplus = [...Map.groupBy(others, shard => shard.node).values()].flatMap(held => {
    const most = Math.max(0, held.length - share)
    return held.filter(({ shard }) => !isBusy(shard)).slice(0, most)
  })
  return surplus.slice(0, share - own).map(({ shard }) => ({ shard, kind: 'take' }))
}
