import type { RouteName, routes } from '@tributary/contracts/routes'
import type { ApiFunction } from '@tributary/contracts/routes/route'
import type * as z from 'zod'
import type { Principal } from '../auth/principal.ts'
import type { Transaction } from '../database/transaction.ts'
import type { Log } from '../log.ts'

type Routes = typeof routes
type Parsed<Name extends RouteName, Part extends 'params' | 'query' | 'body'> = Routes[Name] extends {
  [P in Part]: infer Schema extends z.ZodType
}
  ? z.output<Schema>
  : undefined

/** A request as its handler sees it: authorised and validated. */
export type RouteRequest<Name extends RouteName> = {
  readonly requestId: string
  readonly principal: Principal
  /** IP address that the HTTP API saw. */
  readonly sourceAddress: string
  /** `principalName(principal)`. */
  readonly actor: string
  readonly params: Parsed<Name, 'params'>
  readonly query: Parsed<Name, 'query'>
  readonly body: Parsed<Name, 'body'>
  /** Aborts when the function's time is about to end. */
  readonly signal: AbortSignal
  readonly log: Log
}

/** Answer of a route whose media type is not JSON: text or bytes as they are sent, with headers of its own where it needs any. */
export type MediaAnswer =
  | string
  | Uint8Array
  | { readonly content: string | Uint8Array; readonly headers: Readonly<Record<string, string>> }

/** What the body of the answer is made of; the kernel knows the status. */
export type RouteAnswer<Name extends RouteName> = Routes[Name] extends { readonly media: string }
  ? MediaAnswer
  : Routes[Name] extends { readonly formats: object }
    ? z.input<Routes[Name]['answer']> | MediaAnswer
    : z.input<Routes[Name]['answer']>

/** A route without Idempotency-Key: it opens transactions itself, where it needs any. */
export type PlainHandler<Name extends RouteName> = (request: RouteRequest<Name>) => Promise<RouteAnswer<Name>>

/**
 * A route with Idempotency-Key: runs inside one transaction, which also holds the key and the answer. Nothing in it may
 * use `database` (the only connection is taken), and it may run again after a deadlock.
 */
export type TransactionalHandler<Name extends RouteName> = (
  request: RouteRequest<Name>,
  sql: Transaction,
) => Promise<RouteAnswer<Name>>

/** As `TransactionalHandler`, where slow work without effects (reading objects) comes before the transaction. */
export type PreparedHandler<Name extends RouteName, Prepared = unknown> = {
  prepare(request: RouteRequest<Name>): Promise<Prepared>
  apply(request: RouteRequest<Name>, sql: Transaction, prepared: Prepared): Promise<RouteAnswer<Name>>
}

export type Handler<Name extends RouteName> = Routes[Name]['idempotent'] extends true
  ? // biome-ignore lint/suspicious/noExplicitAny: what is prepared stays between the two halves of one handler
    TransactionalHandler<Name> | PreparedHandler<Name, any>
  : PlainHandler<Name>

export type RouteOf<Function extends ApiFunction> = {
  [Name in RouteName]: Routes[Name]['function'] extends Function ? Name : never
}[RouteName]

/** Every route of a function has exactly one handler. */
export type Handlers<Function extends ApiFunction> = { [Name in RouteOf<Function>]: Handler<Name> }
