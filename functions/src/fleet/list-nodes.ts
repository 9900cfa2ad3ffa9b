import { Slug } from '@tributary/contracts/ids'
import * as z from 'zod'
import type { Context } from '../context.ts'
import { decodeCursor, pageOf } from '../http/cursor.ts'
import type { Handler } from '../http/handler.ts'
import { type NodeViewRow, nodeViewColumns, nodeViewOf } from './node-view.ts'

/** Regional nodes by region and name, with the shards that they lease now; revoked ones are left out. */
export const listNodes =
  ({ database }: Pick<Context, 'database'>): Handler<'listNodes'> =>
  async ({ query: { cursor, limit } }) => {
    const [region, name] = decodeCursor(cursor, z.tuple([Slug, Slug])) ?? ['', '']
    const rows = await database.read(
      sql => sql<NodeViewRow[]>`
        select ${nodeViewColumns(sql)} from regional_node n
        where n.revoked_at is null and (n.region, n.name) > (${region}, ${name})
        order by n.region, n.name limit ${limit + 1}`,
    )
    return pageOf(rows, limit, { item: nodeViewOf, position: row => [row.region, row.name] })
  }
