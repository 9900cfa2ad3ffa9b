import type { DeviceView } from '@tributary/contracts/fleet'
import type { DeviceCondition } from '@tributary/contracts/round'
import { shardOfDigest } from '@tributary/learning/sharding'
import type { Sql } from '../database/transaction.ts'

export type DeviceRow = {
  id: string
  region: string
  shard_hash: Buffer
  shard_count: number
  label: string
  kind: 'trainer' | 'evaluator'
  groups: string[]
  labels: Record<string, string>
  revoked: boolean
  certificate_sha256: string
  certificate_expires_at: Date
  created_at: Date
  presence_node: string | null
  online: boolean | null
  last_seen_at: Date
  agent_version: string
  frameworks: string[]
  datasets: { name: string; examples: number; heldOut: boolean }[]
  conditions: DeviceCondition[]
}

/** Whether the holder of the shard says, in the epoch and the process in which it said so, that the device is there. */
export const isOnline = (sql: Sql) => sql`
  (p.online and d.revoked_at is null and s.node = p.node and s.epoch = p.epoch and s.lease_expires_at > now()
    and n.boot = p.boot)`

/** `from` of a DeviceRow; `d` is the device, `p` its presence. */
export const deviceSources = (sql: Sql) => sql`
  from device d join region r on r.region = d.region
    left join device_presence p on p.device = d.id
    left join region_shard s on s.region = p.region and s.shard = p.shard
    left join regional_node n on n.id = p.node`

/** Columns of a DeviceRow over `deviceSources`. A node that is alive sees its devices until now. */
export const deviceColumns = (sql: Sql) => sql`
  d.id, d.region, d.shard_hash, r.shard_count, d.label, d.kind, d.groups, d.labels, d.revoked_at is not null as revoked,
  d.certificate_sha256, d.certificate_expires_at, d.created_at, p.node as presence_node,
  coalesce(${isOnline(sql)}, false) as online,
  case when ${isOnline(sql)} then greatest(n.last_seen_at, p.seen_at) else p.seen_at end as last_seen_at,
  p.agent_version, p.frameworks, p.datasets, p.conditions`

export const selectDevice = async (sql: Sql, id: string): Promise<DeviceRow | undefined> => {
  const [row] = await sql<DeviceRow[]>`select ${deviceColumns(sql)} ${deviceSources(sql)} where d.id = ${id}`
  return row
}

export const deviceViewOf = (row: DeviceRow): DeviceView => ({
  id: row.id,
  region: row.region,
  shard: shardOfDigest(row.shard_hash, row.shard_count),
  label: row.label,
  kind: row.kind,
  groups: row.groups,
  labels: row.labels,
  revoked: row.revoked,
  certificateSha256: row.certificate_sha256,
  certificateExpiresAt: row.certificate_expires_at.toISOString(),
  createdAt: row.created_at.toISOString(),
  presence: presenceOf(row),
})

const presenceOf = (row: DeviceRow): DeviceView['presence'] => {
  if (row.presence_node === null) return null
  return {
    online: row.online === true,
    lastSeenAt: row.last_seen_at.toISOString(),
    node: row.presence_node,
    agentVersion: row.agent_version,
    frameworks: row.frameworks,
    datasets: row.datasets,
    conditions: row.conditions,
  }
}
