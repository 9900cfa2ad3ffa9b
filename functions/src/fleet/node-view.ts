import type { NodeView } from '@tributary/contracts/fleet'
import { leaseTimes } from '@tributary/contracts/node-status'
import type { Sql } from '../database/transaction.ts'

export type NodeViewRow = {
  id: string
  region: string
  name: string
  endpoint: string | null
  version: string | null
  last_seen_at: Date | null
  revoked: boolean
  online: boolean | null
  load: { rssBytes: number; connections: number; draining?: boolean } | null
  certificate_expires_at: Date
  created_at: Date
  shards: { shard: number; epoch: number }[] | null
}

/** Columns of a NodeViewRow over `regional_node n`; the shards are those that it leases now. */
export const nodeViewColumns = (sql: Sql) => sql`
  n.id, n.region, n.name, n.endpoint, n.version, n.last_seen_at, n.revoked_at is not null as revoked,
  n.revoked_at is null and n.last_seen_at > now() - make_interval(secs => ${leaseTimes.leaseSeconds}) as online,
  n.load, n.certificate_expires_at, n.created_at,
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
  online: row.online === true,
  load: row.load === null ? null : { ...row.load, draining: row.load.draining === true },
  certificateExpiresAt: row.certificate_expires_at.toISOString(),
  createdAt: row.created_at.toISOString(),
  shards: row.shards ?? [],
})
