import * as z from 'zod'
import { Uuid } from '../ids.ts'

/** Roles in rising order: each may do what the ones before may. */
export const roles = ['viewer', 'operator', 'admin'] as const
export type Role = (typeof roles)[number]

/** Who may call a route. Deny by default: a route without an entry does not exist. */
export type Access =
  | { readonly kind: 'public' }
  | { readonly kind: 'role'; readonly atLeast: Role }
  /** A request signed by a certificate's key; the certificate's id must be the one in the path. */
  | { readonly kind: 'certificate'; readonly of: 'regional-node' | 'device'; readonly pathParameter: string }

export const apiFunctions = [
  'tasks',
  'logs',
  'models',
  'fleet',
  'deployments',
  'regional-nodes',
  'platform',
  'health',
] as const
export type ApiFunction = (typeof apiFunctions)[number]

export type Media = 'text/plain' | 'text/html' | 'text/csv' | 'application/x-tar' | 'application/x-ndjson'

export type Route = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: `/v1/${string}`
  /** The Lambda function that serves it. */
  readonly function: ApiFunction
  readonly access: Access
  readonly summary: string
  readonly params?: z.ZodObject
  readonly query?: z.ZodObject
  readonly body?: z.ZodType
  readonly answer: z.ZodType
  /** Media type of the answer where it is not JSON; the handler then gives text. */
  readonly media?: Media
  /** Media types that the query's `format` asks for instead of JSON; the handler then gives text or bytes. */
  readonly formats?: Readonly<Record<string, Media>>
  readonly status: 200 | 201 | 202 | 204
  /** Which answers are sent as 503 instead, with the same schema: for whoever looks at the status alone, as load balancers do. */
  readonly unavailable?: { readonly member: string; readonly value: string }
  /** Mutating routes for people and scripts take an Idempotency-Key. */
  readonly idempotent: boolean
  /** Member of the answer that is kept nowhere: when the request comes again under its Idempotency-Key, it is null. */
  readonly shownOnce?: string
  readonly maxBodyBytes: number
}

export const KiB = 1024
export const viewer = { kind: 'role', atLeast: 'viewer' } as const
export const operator = { kind: 'role', atLeast: 'operator' } as const
export const admin = { kind: 'role', atLeast: 'admin' } as const
export const nodeItself = { kind: 'certificate', of: 'regional-node', pathParameter: 'node' } as const
export const deviceItself = { kind: 'certificate', of: 'device', pathParameter: 'device' } as const

/** What most reading routes share. */
export const reading = { status: 200, idempotent: false, maxBodyBytes: 0 } as const
/** What most changing routes share. */
export const mutation = { status: 201, idempotent: true, maxBodyBytes: 64 * KiB } as const

/** Query of a list: `limit` items from `cursor` on. */
export const page = z.strictObject({
  cursor: z.string().max(200).optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
})
export const pageOf = <Item extends z.ZodType>(item: Item) =>
  z.object({ items: z.array(item), next: z.string().nullable() })

export const taskParams = z.object({ task: Uuid })
export const modelParams = z.object({ model: Uuid })
export const versionParams = z.object({ model: Uuid, version: Uuid })
export const nodeParams = z.object({ node: Uuid })
export const deviceParams = z.object({ device: Uuid })
