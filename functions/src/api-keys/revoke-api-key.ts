import { TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { type ApiKeyRow, apiKeyColumns, apiKeyViewOf } from './api-key-view.ts'

/**
 * Revokes an API key. Instances that used it lately refuse it as soon as they ask again, within seconds. Revoking again changes nothing.
 * @throws TributaryError NOT_FOUND
 */
export const revokeApiKey =
  ({ audit }: Pick<Context, 'audit'>): Handler<'revokeApiKey'> =>
  async ({ params: { key }, actor }, sql) => {
    const revoked = await sql`update api_key set revoked_at = now() where id = ${key} and revoked_at is null`
    const [row] = await sql<ApiKeyRow[]>`select ${apiKeyColumns(sql)} from api_key where id = ${key}`
    if (row === undefined) throw new TributaryError('NOT_FOUND')
    if (revoked.count === 1) audit.append(sql, { actor, action: 'api-key.revoked', subject: `api-key/${key}` })
    return apiKeyViewOf(row)
  }
