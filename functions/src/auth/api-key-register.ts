import { TributaryError } from '@tributary/contracts/errors'
import { type Role, roles } from '@tributary/contracts/routes/route'
import * as z from 'zod'
import type { Cache } from '../adapters/cache.ts'
import type { Clock } from '../adapters/clock.ts'
import type { Database } from '../database/database.ts'
import { apiKeyHash, isApiKey } from './api-key-text.ts'
import type { Principal } from './principal.ts'

/** What an instance knows without asking, and what all of them share; together less than the 10 s in which a revocation takes effect. */
const ownSeconds = 2
const sharedSeconds = 4
const mostKnown = 1000

type ApiKeyPrincipal = Extract<Principal, { kind: 'api-key' }>
type Row = {
  id: string
  name: string
  role: Role
  scopes: string[] | null
  expires_at: Date | null
  revoked: boolean
}

const Known = z.strictObject({
  id: z.string(),
  name: z.string(),
  role: z.enum(roles),
  scopes: z.array(z.string()).nullable(),
  expiresAt: z.number().nullable(),
})
type Known = z.infer<typeof Known>

/**
 * Finds the holder of an API key. A key that was good is believed for some seconds, by this instance and through the cache by all;
 * without the cache the database is asked instead.
 * @returns a function that gives null for what is no key of ours
 * @throws TributaryError API_KEY_EXPIRED, API_KEY_REVOKED
 */
export const apiKeyRegister = (parts: {
  readonly database: Database
  readonly cache: Pick<Cache, 'get' | 'set'>
  readonly clock: Clock
}): ((token: string) => Promise<ApiKeyPrincipal | null>) => {
  const { database, cache, clock } = parts
  const own = new Map<string, { readonly known: Known; readonly until: number }>()
  const remember = (name: string, known: Known): Known => {
    own.delete(name)
    own.set(name, { known, until: clock.now().getTime() + ownSeconds * 1000 })
    const [oldest] = own.keys()
    if (own.size > mostKnown && oldest !== undefined) own.delete(oldest)
    return known
  }
  const find = async (token: string): Promise<Known | null> => {
    const hash = apiKeyHash(token)
    const name = `api-key:${hash.toString('hex')}`
    const near = own.get(name)
    if (near !== undefined && clock.now().getTime() < near.until) return near.known
    const shared = readKnown(await cache.get(name))
    if (shared !== null) return remember(name, shared)
    const row = await database.read(sql => lookUp(sql, hash))
    if (row === undefined) return null
    if (row.revoked) throw new TributaryError('API_KEY_REVOKED')
    const { id, role, scopes, expires_at } = row
    const known = { id, name: row.name, role, scopes, expiresAt: expires_at?.getTime() ?? null }
    await cache.set(name, JSON.stringify(known), sharedSeconds)
    return remember(name, known)
  }
  return async token => {
    if (!isApiKey(token)) return null
    const known = await find(token)
    if (known === null) return null
    const { id, name, role, scopes, expiresAt } = known
    if (expiresAt !== null && expiresAt <= clock.now().getTime()) throw new TributaryError('API_KEY_EXPIRED')
    return { kind: 'api-key', id, name, role, scopes }
  }
}

/** Also notes the use, to the minute: one write a minute and key, whatever the traffic. */
const lookUp = async (sql: Parameters<Parameters<Database['read']>[0]>[0], hash: Buffer): Promise<Row | undefined> => {
  const [row] = await sql<Row[]>`
    with used as (
      update api_key set last_used_at = now()
      where key_sha256 = ${hash} and revoked_at is null and (expires_at is null or expires_at > now())
        and (last_used_at is null or last_used_at < now() - interval '1 minute'))
    select id, name, role, scopes, expires_at, revoked_at is not null as revoked from api_key where key_sha256 = ${hash}`
  return row
}

const readKnown = (text: string | null): Known | null => {
  if (text === null) return null
  try {
    return Known.parse(JSON.parse(text))
  } catch {
    return null
  }
}
