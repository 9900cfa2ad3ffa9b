import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { inspect } from 'node:util'
import { type ErrorCode, TributaryError } from '@tributary/contracts/errors'
import { problemOf } from '@tributary/contracts/problem'
import type { FunctionPool } from './function-pool.ts'
import { matchRoute } from './function-routing.ts'
import { httpEvent, splitTarget } from './http-event.ts'
import { type HttpAnswer, httpAnswer } from './http-response.ts'
import { payloadLimits, ThrottledError } from './invocation.ts'
import { type ListenAddress, type ListeningServer, listen } from './listen.ts'
import type { MetricStore } from './metric-store.ts'
import { readBody } from './read-body.ts'

/** API Gateway's limit of all headers together. */
const maxHeaderSize = 10_240
const serverOptions = {
  maxHeaderSize,
  noDelay: true,
  keepAliveTimeout: 65_000,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
}

/**
 * The HTTP API in front of the functions: each request becomes an event for the function that the route table names, and what the
 * function returns becomes the answer; `/metrics`, for callers on this machine, is the runner's own. Where no function answers, the platform's own refusal is a problem document too.
 */
export function startHttpApi(
  address: ListenAddress,
  pools: ReadonlyMap<string, FunctionPool>,
  onFailure: (message: string) => void,
  metrics?: MetricStore,
): Promise<ListeningServer> {
  return listen(address, serverOptions, (request, response) => {
    if (metrics !== undefined && request.method === 'GET' && request.url === '/metrics' && isLocal(request)) {
      response.setHeader('content-type', 'text/plain; version=0.0.4; charset=utf-8')
      response.end(metrics.text())
      return
    }
    const requestId = randomUUID()
    answer(request, pools, requestId)
      .catch(error => refusal(error, requestId, onFailure))
      .then(found => send(request, response, found, requestId))
      .catch(error => {
        onFailure(`${request.method} ${request.url}: ${(error as Error).message}`)
        response.destroy()
      })
  })
}

const isLocal = ({ socket }: IncomingMessage): boolean =>
  socket.remoteAddress === '::1' || /^(::ffff:)?127\./.test(socket.remoteAddress ?? '')

async function answer(
  request: IncomingMessage,
  pools: ReadonlyMap<string, FunctionPool>,
  requestId: string,
): Promise<HttpAnswer> {
  const body = await readBody(request, payloadLimits.synchronous)
  if (!body) throw new TributaryError('BODY_TOO_LARGE')
  const match = matchRoute(request.method ?? 'GET', splitTarget(request.url ?? '/').path)
  const event = Buffer.from(JSON.stringify(httpEvent(request, body, match, requestId, new Date())))
  if (event.length > payloadLimits.synchronous) throw new TributaryError('BODY_TOO_LARGE')
  const pool = pools.get(match.function)
  if (!pool) throw new TributaryError('UNAVAILABLE', { cause: `no function called ${match.function}` })
  const result = await pool.invoke(event, 'bounded')
  if (result.errorType !== undefined) {
    const reason = `${match.function} ${result.requestId}: ${result.errorType}`
    throw new TributaryError('INTERNAL', { cause: `${reason} ${result.payload.toString('utf8').slice(0, 500)}` })
  }
  return httpAnswer(result.payload)
}

function refusal(error: unknown, requestId: string, onFailure: (message: string) => void): HttpAnswer {
  const code: ErrorCode = error instanceof ThrottledError ? 'UNAVAILABLE' : 'INTERNAL'
  const known = error instanceof TributaryError ? error : new TributaryError(code, { cause: error })
  if (known.entry.http >= 500) onFailure(`request ${requestId}: ${inspect(known.cause ?? known.message)}`)
  return {
    status: known.entry.http,
    headers: [
      ['content-type', 'application/problem+json'],
      ...(known.entry.http === 503 ? [['retry-after', '1'] as const] : []),
    ],
    body: Buffer.from(JSON.stringify(problemOf(known, requestId))),
  }
}

function send(request: IncomingMessage, response: ServerResponse, found: HttpAnswer, requestId: string): void {
  response.statusCode = found.status
  for (const [name, value] of found.headers) response.setHeader(name, value)
  response.setHeader('apigw-requestid', requestId)
  const empty = request.method === 'HEAD' || found.status === 204 || found.status === 304
  if (!empty) response.setHeader('content-length', found.body.length)
  response.end(empty ? undefined : found.body)
}
