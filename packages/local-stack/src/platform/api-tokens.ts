import { createHash, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Role, roles } from '@tributary/contracts/routes/route'
import * as z from 'zod'
import { writePrivately } from '../services/credentials.ts'

const ApiTokens = z.object({ viewer: z.string(), operator: z.string(), admin: z.string() })
/** A bearer token a role, made at the first start and kept in the state folder (mode 0600). */
export type ApiTokens = Readonly<Record<Role, string>>

export const ensureApiTokens = async (state: string): Promise<ApiTokens> => {
  const file = join(state, 'api-tokens.json')
  const kept = await readFile(file, 'utf8').catch(() => undefined)
  if (kept !== undefined) return ApiTokens.parse(JSON.parse(kept))
  const token = (role: Role): string => `trib_${role}_${randomBytes(24).toString('base64url')}`
  const made = { viewer: token('viewer'), operator: token('operator'), admin: token('admin') }
  await writePrivately(file, JSON.stringify(made, undefined, 2))
  return made
}

/** What the functions get: hashes only. */
export const apiTokenHashes = (tokens: ApiTokens): string =>
  JSON.stringify(
    roles.map(role => ({
      name: `local ${role}`,
      role,
      sha256: createHash('sha256').update(tokens[role]).digest('hex'),
    })),
  )
