import { TributaryError } from '@tributary/contracts/errors'
import { apiKeyHash, apiKeyHint, newApiKey } from '../auth/api-key-text.ts'
import type { Principal } from '../auth/principal.ts'
import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import { type ApiKeyRow, apiKeyColumns, apiKeyViewOf } from './api-key-view.ts'

const mostDays = 3660

/**
 * Makes an API key. It is in this answer and nowhere else: kept is its hash, and a repetition of the request gets null.
 * @throws TributaryError BODY_INVALID for a time of expiry that is not ahead, SCOPE_MISSING where a narrowed key asks for a wider one
 */
export const createApiKey =
  ({ audit, ids, clock }: Pick<Context, 'audit' | 'ids' | 'clock'>): Handler<'createApiKey'> =>
  async ({ body, actor, principal }, sql) => {
    const { name, role } = body
    const scopes = body.scopes === null ? null : [...new Set(body.scopes)]
    checkNotWider(principal, scopes)
    const expiresAt = body.expiresAt === null ? null : new Date(body.expiresAt)
    checkExpiry(expiresAt, clock.now())
    const id = ids.next()
    const key = newApiKey()
    const [row] = await sql<ApiKeyRow[]>`
      insert into api_key (id, name, key_sha256, hint, role, scopes, expires_at, created_by)
      values (${id}, ${name}, ${apiKeyHash(key)}, ${apiKeyHint(key)}, ${role}, ${scopes}, ${expiresAt}, ${actor})
      returning ${apiKeyColumns(sql)}`
    const detail = { name, role, scopes, expiresAt: expiresAt?.toISOString() ?? null }
    audit.append(sql, { actor, action: 'api-key.created', subject: `api-key/${id}`, detail })
    return { ...apiKeyViewOf(row as ApiKeyRow), key }
  }

/** Or a key that may only make keys would make itself one for everything. */
const checkNotWider = (principal: Principal, scopes: readonly string[] | null): void => {
  if (principal.kind !== 'api-key' || principal.scopes === null) return
  const own = new Set(principal.scopes)
  if (scopes?.every(scope => own.has(scope))) return
  throw new TributaryError('SCOPE_MISSING', {
    detail: 'A narrowed key makes only keys with scopes that it has itself.',
  })
}

const checkExpiry = (expiresAt: Date | null, now: Date): void => {
  if (expiresAt === null) return
  const days = (expiresAt.getTime() - now.getTime()) / 86_400_000
  if (days > 0 && days <= mostDays) return
  const errors = [{ path: 'expiresAt', message: `in the future, within ${mostDays} days` }]
  throw new TributaryError('BODY_INVALID', { extra: { errors } })
}
