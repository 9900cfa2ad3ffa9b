import type { DeviceView } from '@tributary/contracts/fleet'
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
  revoked: boolean
  certificate_sha256: string
  created_at: Date
}

/** Columns of a DeviceRow over `device d join region r`. */
export const deviceColumns = (sql: Sql) => sql`
  d.id, d.region, d.shard_hash, r.shard_count, d.label, d.kind, d.groups, d.revoked_at is not null as revoked,
  d.certificate_sha256, d.created_at`

export const selectDevice = async (sql: Sql, id: string): Promise<DeviceRow | undefined> => {
  const [row] = await sql<DeviceRow[]>`
    select ${deviceColumns(sql)} from device d join region r on r.region = d.region where d.id = ${id}`
  return row
}

export const deviceViewOf = (row: DeviceRow): DeviceView => ({
  id: row.id,
  region: row.region,
  shard: shardOfDigest(row.shard_hash, row.shard_count),
  label: row.label,
  kind: row.kind,
  groups: row.groups,
  revoked: row.revoked,
  certificateSha256: row.certificate_sha256,
  createdAt: row.created_at.toISOString(),
})
