import * as z from 'zod'
import { DisplayName, Timestamp, Uuid } from './ids.ts'
import { roles } from './routes/route.ts'
import { scopes } from './routes/scope.ts'

/** Narrows a key to parts of the API, within what its role allows. */
const Scopes = z.array(z.enum(scopes)).min(1).max(100)

/** `POST /v1/api-keys` */
export const CreateApiKey = z.strictObject({
  name: DisplayName,
  role: z.enum(roles),
  /** Null: everything that the role allows. */
  scopes: Scopes.nullable().default(null),
  /** Null: good until it is revoked. */
  expiresAt: z.iso.datetime().nullable().default(null),
})
export type CreateApiKey = z.infer<typeof CreateApiKey>

/** A key as it is listed; the key itself is known to nobody but its holder. */
export const ApiKeyView = z.object({
  id: Uuid,
  name: z.string(),
  /** First characters of the key, to tell keys apart. */
  hint: z.string(),
  role: z.enum(roles),
  /** Those that were given; one that no part of the API has any more allows nothing. */
  scopes: z.array(z.string()).nullable(),
  state: z.enum(['live', 'expired', 'revoked']),
  expiresAt: Timestamp.nullable(),
  /** To the minute. */
  lastUsedAt: Timestamp.nullable(),
  revokedAt: Timestamp.nullable(),
  createdAt: Timestamp,
  createdBy: z.string(),
})
export type ApiKeyView = z.infer<typeof ApiKeyView>

/** Answer of the creation. A repetition of the request has `key` null: it is shown once. */
export const ApiKeyCreated = ApiKeyView.extend({ key: z.string().nullable() })
export type ApiKeyCreated = z.infer<typeof ApiKeyCreated>
