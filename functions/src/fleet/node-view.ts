import type { NodeView } from '@tributary/contracts/fleet'
import type { Sql } from '../database/transaction.ts'

export type NodeViewRow = {
  id: string
  region: string
  name: string
  endpoint: string | null
  version: string | null
  last_seen_at: Date | null
  revoked: boolean
  shards: { shard: number; epoch: number }[] | null
}

/** Columns of a NodeViewRow over `regional_node n`; the shards are those that it leases now. */
export const nodeViewColumns = (sql: Sql) => sql`
  n.id, n.region, n.name, n.endpoint, n.version, n.last_seen_at, n.revoked_at is not null as revoked,
  (select json_agg(json_build_object('shard', s.shard, 'epoch', s.epoch) order by s.shard)
    from region_shard s where s.region = n.region and s.node = n.id and s.lease_expires_at > now()) as shards`

export const nodeViewOf = (row: NodeViewRow): NodeView => ({
  id: row.id,
  region: row.region,
  name: row.name,
  endpoint: row.endpoint,
  version: row.version,
  lastSeenAt: row.last_seen_at?.toISOString() ?? null,
  revoked: row.revoked,
  shards: row.shards ?? [],
})
