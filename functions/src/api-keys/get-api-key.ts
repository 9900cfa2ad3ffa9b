import { TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { type ApiKeyRow, apiKeyColumns, apiKeyViewOf } from './api-key-view.ts'

/** One API key. @throws TributaryError NOT_FOUND */
export const getApiKey =
  ({ database }: Pick<Context, 'database'>): Handler<'getApiKey'> =>
  async ({ params: { key } }) => {
    const [row] = await database.read(
      sql => sql<ApiKeyRow[]>`select ${apiKeyColumns(sql)} from api_key where id = ${key}`,
    )
    if (row === undefined) throw new TributaryError('NOT_FOUND')
    return apiKeyViewOf(row)
  }
