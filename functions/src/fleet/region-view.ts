import type { RegionView } from '@tributary/contracts/fleet'
import type { Sql } from '../database/transaction.ts'

type Row = {
  region: string
  name: string
  shard_count: number
  pending_shard_count: number | null
  task_slots: number | null
  devices: number
  shards: {
    shard: number
    node: string | null
    epoch: number
    lease_expires_at: string | null
    devices_online: number
    evaluators_online: number
  }[]
}

/** Regions by name after `after`, with their shards; a shard's node is shown only while its lease is live. */
export const selectRegions = async (sql: Sql, after: string, limit: number): Promise<RegionView[]> => {
  const rows = await sql<Row[]>`
    select ${regionColumns(sql)} from region r where r.region > ${after} order by r.region limit ${limit}`
  return rows.map(viewOf)
}

export const selectRegion = async (sql: Sql, region: string): Promise<RegionView | undefined> => {
  const [row] = await sql<Row[]>`select ${regionColumns(sql)} from region r where r.region = ${region}`
  return row && viewOf(row)
}

const regionColumns = (sql: Sql) => sql`
  r.region, r.name, r.shard_count, r.pending_shard_count, r.task_slots,
  (select count(*) from device d where d.region = r.region and d.revoked_at is null) as devices,
  (select json_agg(json_build_object(
      'shard', s.shard, 'epoch', s.epoch,
      'node', case when s.lease_expires_at > now() then s.node end,
      'lease_expires_at', s.lease_expires_at,
      'devices_online', case when s.lease_expires_at > now() then s.devices_online else 0 end,
      'evaluators_online', case when s.lease_expires_at > now() then s.evaluators_online else 0 end
    ) order by s.shard) from region_shard s where s.region = r.region and s.shard < r.shard_count) as shards`

const viewOf = (row: Row): RegionView => ({
  region: row.region,
  name: row.name,
  shardCount: row.shard_count,
  pendingShardCount: row.pending_shard_count,
  taskSlots: row.task_slots,
  devices: row.devices,
  shards: (row.shards ?? []).map(shard => ({
    shard: shard.shard,
    node: shard.node,
    epoch: shard.epoch,
    leaseExpiresAt: shard.lease_expires_at === null ? null : new Date(shard.lease_expires_at).toISOString(),
    devicesOnline: shard.devices_online,
    evaluatorsOnline: shard.evaluators_online,
  })),
})
