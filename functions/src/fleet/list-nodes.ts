import { Slug } from '@tributary/contracts/ids'
import * as z from 'zod'
import type { Context } from '../context.ts'
import { decodeCursor, pageOf } from '../http/cursor.ts'
import type { Handler } from '../http/handler.ts'

type Row = {
  id: string
  region: string
  name: string
  endpoint: string | null
  version: string | null
  last_seen_at: Date | null
  shards: { shard: number; epoch: number }[] | null
}

/** Regional nodes by region and name, with the shards that they lease now. */
export const listNodes =
  ({ database }: Pick<Context, 'database'>): Handler<'listNodes'> =>
  async ({ query: { cursor, limit } }) => {
    const [region, name] = decodeCursor(cursor, z.tuple([Slug, Slug])) ?? ['', '']
    const rows = await database.read(
      sql => sql<Row[]>`
        select n.id, n.region, n.name, n.endpoint, n.version, n.last_seen_at,
          (select json_agg(json_build_object('shard', s.shard, 'epoch', s.epoch) order by s.shard)
            from region_shard s where s.region = n.region and s.node = n.id and s.lease_expires_at > now()) as shards
        from regional_node n
        where n.revoked_at is null and (n.region, n.name) > (${region}, ${name})
        order by n.region, n.name limit ${limit + 1}`,
    )
    return pageOf(rows, limit, {
      item: row => ({
        id: row.id,
        region: row.region,
        name: row.name,
        endpoint: row.endpoint,
        version: row.version,
        lastSeenAt: row.last_seen_at?.toISOString() ?? null,
        shards: row.shards ?? [],
      }),
      position: row => [row.region, row.name],
    })
  }
