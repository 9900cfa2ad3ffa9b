import { type RouteName, routes } from '@tributary/contracts/routes'
import type { ApiFunction, Route } from '@tributary/contracts/routes/route'
import type { APIGatewayProxyStructuredResultV2 } from 'aws-lambda'
import type { Authenticator } from '../auth/authenticate.ts'
import { authorise } from '../auth/authorise.ts'
import { type Principal, principalName } from '../auth/principal.ts'
import type { Database } from '../database/database.ts'
import type { Transaction } from '../database/transaction.ts'
import { keyedRequest, runOnce, storedAnswer } from '../idempotency/idempotency.ts'
import type { Log } from '../log.ts'
import type { Metrics } from '../metrics/metrics.ts'
import type { ApiCall } from './api-call.ts'
import type { Handlers, MediaAnswer, PreparedHandler, RouteRequest, TransactionalHandler } from './handler.ts'
import { routeMatcher } from './match-route.ts'
import { checkBodySize } from './read-body.ts'
import { validateInput } from './validate.ts'

export type ApiParts<Function extends ApiFunction> = {
  readonly functionName: Function
  readonly handlers: Handlers<Function>
  readonly database: Database
  readonly authenticate: Authenticator
  /** @throws TributaryError RATE_LIMITED */
  readonly limit: (principal: Principal, call: ApiCall) => Promise<void>
  readonly log: Log
  readonly metrics: Metrics
  /** Refuses answers that do not fit the route's schema as INTERNAL; for tests, since it costs time. */
  readonly checkAnswers?: boolean
  /** Told of the transaction of every keyed request as it begins; for tests. */
  readonly onTransaction?: (sql: Transaction, route: RouteName) => Promise<void>
}

type AnyRequest = RouteRequest<RouteName>
type AnyHandler =
  | ((request: AnyRequest) => Promise<unknown>)
  | TransactionalHandler<RouteName>
  | PreparedHandler<RouteName>

/**
 * Takes a call through all that stands between the network and a handler, in this order: route, size, who asks, whether
 * they may, how often, what they sent.
 * @throws TributaryError; anything else is INTERNAL
 */
export const callAnswerer = <Function extends ApiFunction>(parts: ApiParts<Function>) => {
  checkHandlers(parts)
  const match = routeMatcher(parts.functionName)
  return async (call: ApiCall, signal: AbortSignal): Promise<APIGatewayProxyStructuredResultV2> => {
    const found = match(call.method, call.path)
    const { name, route } = found
    checkBodySize(call, route.maxBodyBytes)
    const principal = await identify(parts, call, route.access.kind)
    authorise(route, principal, found.params)
    await parts.limit(principal, call)
    const input = validateInput(call, found)
    const actor = principalName(principal)
    const { requestId, sourceAddress } = call
    const log = parts.log.child({ requestId, route: name, actor })
    const request = { requestId, principal, sourceAddress, actor, signal, log, ...input } as AnyRequest
    const handler = (parts.handlers as Record<string, unknown>)[name] as AnyHandler
    const answer = route.idempotent
      ? await answerOnce(parts, name, handler as TransactionalHandler<RouteName> | PreparedHandler<RouteName>, {
          request,
          keyed: keyedRequest(call.headers.get('idempotency-key'), actor, name, input),
          status: route.status,
          shownOnce: route.shownOnce,
        })
      : await (handler as (request: AnyRequest) => Promise<unknown>)(request)
    const media = route.media ?? askedFormat(route, input.query)
    if (media !== undefined) return mediaResponse(route.status, media, answer as MediaAnswer)
    if (parts.checkAnswers && route.status !== 204) route.answer.parse(answer)
    return response(statusOf(route, answer), answer)
  }
}

/**
 * What the types say of handlers, again for what was built around them: one for each route of the table, none beside it.
 * @throws Error
 */
const checkHandlers = <Function extends ApiFunction>({ functionName, handlers }: ApiParts<Function>): void => {
  const table = Object.entries(routes as Record<string, Route>).filter(([, route]) => route.function === functionName)
  const wanted = new Set(table.map(([name]) => name))
  const there = new Set(Object.keys(handlers))
  const wrong = [...wanted.symmetricDifference(there)]
  if (wrong.length > 0) throw new Error(`${functionName}: handlers and route table differ in ${wrong.join(', ')}`)
}

const identify = async (
  parts: { authenticate: Authenticator },
  call: ApiCall,
  access: 'public' | 'role' | 'certificate',
): Promise<Principal> => (access === 'public' ? { kind: 'anonymous' } : parts.authenticate(call))

const answerOnce = async (
  { database, onTransaction }: Pick<ApiParts<ApiFunction>, 'database' | 'onTransaction'>,
  name: RouteName,
  handler: TransactionalHandler<RouteName> | PreparedHandler<RouteName>,
  {
    request,
    keyed,
    ...options
  }: { request: AnyRequest; keyed: ReturnType<typeof keyedRequest>; status: number; shownOnce: string | undefined },
): Promise<unknown> => {
  const once = (effect: (sql: Transaction) => Promise<unknown>) =>
    database.transaction(async sql => {
      await onTransaction?.(sql, name)
      return runOnce(sql, keyed, options, () => effect(sql))
    })
  if (typeof handler === 'function') return once(sql => handler(request, sql))
  const stored = await database.read(sql => storedAnswer(sql, keyed))
  if (stored !== null) return stored.answer
  const prepared = await handler.prepare(request)
  return once(sql => handler.apply(request, sql, prepared))
}

const response = (status: number, answer: unknown): APIGatewayProxyStructuredResultV2 =>
  status === 204
    ? { statusCode: 204 }
    : { statusCode: status, headers: { 'content-type': 'application/json' }, body: jsonOf(answer) }

const statusOf = ({ status, unavailable }: Route, answer: unknown): number =>
  unavailable !== undefined && (answer as Record<string, unknown>)[unavailable.member] === unavailable.value
    ? 503
    : status

/** Texts of answers that live longer than their request, since their handler gives them again. */
const written = new WeakMap<object, string>()

const jsonOf = (answer: unknown): string => {
  if (typeof answer !== 'object' || answer === null) return JSON.stringify(answer)
  const text = written.get(answer) ?? JSON.stringify(answer)
  written.set(answer, text)
  return text
}

const askedFormat = ({ formats }: Route, query: unknown): Route['media'] =>
  formats === undefined ? undefined : formats[(query as { format: string }).format]

const mediaResponse = (
  statusCode: number,
  media: NonNullable<Route['media']>,
  answer: MediaAnswer,
): APIGatewayProxyStructuredResultV2 => {
  const { content, headers } =
    typeof answer === 'string' || answer instanceof Uint8Array ? { content: answer, headers: {} } : answer
  const type = media.startsWith('text/') ? `${media}; charset=utf-8` : media
  return typeof content === 'string'
    ? { statusCode, headers: { 'content-type': type, ...headers }, body: content }
    : {
        statusCode,
        headers: { 'content-type': type, ...headers },
        body: Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString('base64'),
        isBase64Encoded: true,
      }
}
