import type { CohortPolicy } from '@tributary/contracts/round'
import { asJson, type Transaction } from '../database/transaction.ts'
import type { LeasedShard, ShardCapacity } from './plan-attempt.ts'

/** The shards of these regions (empty: all) that a node leases now. */
export const readLeasedShards = (sql: Transaction, regions: readonly string[]): Promise<LeasedShard[]> =>
  sql<LeasedShard[]>`
    select s.region, s.shard, s.epoch, s.devices_online as online
    from region_shard s join region r on r.region = s.region and s.shard < r.shard_count
    where s.node is not null and s.lease_expires_at > now()
      and (${regions.length === 0} or s.region = any(${[...regions]}::text[]))
    order by s.region, s.shard`

/**
 * Counts the enrolled trainers of each shard that fit a cohort by what central knows: groups, labels, ids. Whether a device has
 * the data set and fulfils the conditions only its node learns, at check-in; so fewer may take part than are counted here. Looks
 * at every device of the regions, so it comes after whatever can say no without it.
 */
export const countEligible = async (
  sql: Transaction,
  shards: readonly LeasedShard[],
  { groups, labels = {}, devices }: Pick<CohortPolicy, 'groups' | 'labels' | 'devices'>,
): Promise<ShardCapacity[]> => {
  const regions = [...new Set(shards.map(({ region }) => region))]
  const rows = await sql<{ region: string; shard: number; eligible: number }[]>`
    select d.region, shard_of(d.shard_hash, r.shard_count) as shard, count(*)::integer as eligible
    from device d join region r on r.region = d.region
    where d.region = any(${regions}::text[]) and d.kind = 'trainer' and d.revoked_at is null
      and (${groups.length === 0} or d.groups && ${[...groups]}::text[])
      and d.labels @> ${sql.json(asJson(labels))}
      and ${devices === undefined ? sql`true` : sql`d.id = any(${devices}::text[]::uuid[])`}
    group by 1, 2`
  const counts = new Map(rows.map(({ region, shard, eligible }) => [`${region}/${shard}`, eligible]))
  return shards.map(shard => ({ ...shard, eligible: counts.get(`${shard.region}/${shard.shard}`) ?? 0 }))
}
