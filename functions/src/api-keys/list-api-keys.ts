import { Uuid } from '@tributary/contracts/ids'
import type { Context } from '../context.ts'
import { decodeCursor, pageOf } from '../http/cursor.ts'
import type { Handler } from '../http/handler.ts'
import { type ApiKeyRow, apiKeyColumns, apiKeyViewOf } from './api-key-view.ts'

/** API keys, newest first, also those that are good no more. */
export const listApiKeys =
  ({ database }: Pick<Context, 'database'>): Handler<'listApiKeys'> =>
  async ({ query: { cursor, limit } }) => {
    const before = decodeCursor(cursor, Uuid)
    const rows = await database.read(
      sql => sql<ApiKeyRow[]>`
        select ${apiKeyColumns(sql)} from api_key
        ${before === null ? sql`` : sql`where id < ${before}`} order by id desc limit ${limit + 1}`,
    )
    return pageOf(rows, limit, { item: apiKeyViewOf, position: ({ id }) => id })
  }
