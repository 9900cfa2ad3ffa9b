import type { ApiKeyView } from '@tributary/contracts/api-keys'
import type { Role } from '@tributary/contracts/routes/route'
import type { Sql } from '../database/transaction.ts'

export type ApiKeyRow = {
  id: string
  name: string
  hint: string
  role: Role
  scopes: string[] | null
  expired: boolean
  expires_at: Date | null
  last_used_at: Date | null
  revoked_at: Date | null
  created_at: Date
  created_by: string
}

/** Columns of an ApiKeyRow over `api_key`. */
export const apiKeyColumns = (sql: Sql) => sql`
  id, name, hint, role, scopes, coalesce(expires_at <= now(), false) as expired, expires_at, last_used_at, revoked_at, created_at, created_by`

export const apiKeyViewOf = (row: ApiKeyRow): ApiKeyView => ({
  id: row.id,
  name: row.name,
  hint: row.hint,
  role: row.role,
  scopes: row.scopes,
  state: row.revoked_at !== null ? 'revoked' : row.expired ? 'expired' : 'live',
  expiresAt: row.expires_at?.toISOString() ?? null,
  lastUsedAt: row.last_used_at?.toISOString() ?? null,
  revokedAt: row.revoked_at?.toISOString() ?? null,
  createdAt: row.created_at.toISOString(),
  createdBy: row.created_by,
})
