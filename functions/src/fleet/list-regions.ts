import { Slug } from '@tributary/contracts/ids'
import type { Context } from '../context.ts'
import { decodeCursor, pageOf } from '../http/cursor.ts'
import type { Handler } from '../http/handler.ts'
import { selectRegions } from './region-view.ts'

export const listRegions =
  ({ database }: Pick<Context, 'database'>): Handler<'listRegions'> =>
  async ({ query: { cursor, limit } }) => {
    const after = decodeCursor(cursor, Slug) ?? ''
    const regions = await database.read(sql => selectRegions(sql, after, limit + 1))
    return pageOf(regions, limit, { item: region => region, position: ({ region }) => region })
  }
