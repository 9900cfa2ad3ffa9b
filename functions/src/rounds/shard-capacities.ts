import type { Transaction } from '../database/transaction.ts'
import type { ShardCapacity } from './plan-attempt.ts'

/** The shards with a live lease, and the trainers in them that a task may select. Empty regions or groups mean all. */
export const readShardCapacities = (
  sql: Transaction,
  { regions, groups }: { regions: readonly string[]; groups: readonly string[] },
): Promise<ShardCapacity[]> => sql<ShardCapacity[]>`
  with trainer as (
    select d.region, shard_of(d.shard_hash, r.shard_count) as shard, count(*)::integer as eligible
    from device d join region r on r.region = d.region
    where d.kind = 'trainer' and d.revoked_at is null
      and (${regions.length === 0} or d.region = any(${[...regions]}::text[]))
      and (${groups.length === 0} or d.groups && ${[...groups]}::text[])
    group by 1, 2
  )
  select s.region, s.shard, s.epoch, s.devices_online as online, coalesce(t.eligible, 0) as eligible
  from region_shard s
    join region r on r.region = s.region and s.shard < r.shard_count
    left join trainer t on t.region = s.region and t.shard = s.shard
  where s.node is not null and s.lease_expires_at > now()
    and (${regions.length === 0} or s.region = any(${[...regions]}::text[]))
  order by s.region, s.shard`
