import type { IncomingMessage } from 'node:http'
import type { APIGatewayProxyEventV2 } from 'aws-lambda'
import type { RouteMatch } from './function-routing.ts'
import { account } from './instance-environment.ts'

const textTypes = /^(?:text\/|application\/(?:json|javascript|xml|[^;]+\+json|[^;]+\+xml)\s*(?:;|$))/i
const hopByHop = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'te', 'trailer', 'expect'])
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/**
 * A request as the HTTP API hands it to a function, payload format 2.0.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
 */
export function httpEvent(
  request: IncomingMessage,
  body: Buffer,
  match: RouteMatch,
  requestId: string,
  now: Date,
): APIGatewayProxyEventV2 {
  const { path, query } = splitTarget(request.url ?? '/')
  const { cookies, headers } = lowerCased(request)
  const isBase64Encoded = body.length > 0 && !textTypes.test(headers['content-type'] ?? '')
  const domainName = headers.host ?? 'localhost'
  return {
    version: '2.0',
    routeKey: match.routeKey,
    rawPath: path,
    rawQueryString: query,
    ...(cookies.length > 0 ? { cookies } : {}),
    headers,
    ...(query === '' ? {} : { queryStringParameters: joinedQuery(query) }),
    ...(match.pathParameters ? { pathParameters: { ...match.pathParameters } } : {}),
    requestContext: {
      accountId: account,
      apiId: 'local',
      domainName,
      domainPrefix: domainName.split('.')[0] ?? domainName,
      http: {
        method: request.method ?? 'GET',
        path,
        protocol: `HTTP/${request.httpVersion}`,
        sourceIp: request.socket.remoteAddress ?? '127.0.0.1',
        userAgent: headers['user-agent'] ?? '',
      },
      requestId,
      routeKey: match.routeKey,
      stage: '$default',
      time: commonLogTime(now),
      timeEpoch: now.getTime(),
    },
    ...(body.length > 0 ? { body: body.toString(isBase64Encoded ? 'base64' : 'utf8') } : {}),
    isBase64Encoded,
  }
}

/** Path and raw query of a request target, also of the absolute form (RFC 9112, 3.2.2). */
export function splitTarget(target: string): { readonly path: string; readonly query: string } {
  const origin = /^https?:\/\/[^/?]*/i.exec(target)?.[0] ?? ''
  const rest = target.slice(origin.length).split('#', 1)[0] ?? ''
  const mark = rest.indexOf('?')
  const path = mark < 0 ? rest : rest.slice(0, mark)
  return { path: path === '' ? '/' : path, query: mark < 0 ? '' : rest.slice(mark + 1) }
}

function lowerCased(request: IncomingMessage): {
  cookies: string[]
  headers: Partial<Record<string, string>> & { host?: string }
} {
  const joined = new Map<string, string>()
  const cookies: string[] = []
  for (const [name, values] of Object.entries(request.headersDistinct)) {
    if (name === 'cookie') cookies.push(...(values ?? []).flatMap(value => value.split(/; */)).filter(Boolean))
    else if (!hopByHop.has(name)) joined.set(name, (values ?? []).join(','))
  }
  const from = request.socket.remoteAddress ?? ''
  const before = joined.get('x-forwarded-for')
  joined.set('x-forwarded-for', before === undefined ? from : `${before}, ${from}`)
  joined.set('x-forwarded-port', String(request.socket.localPort ?? ''))
  joined.set('x-forwarded-proto', 'http')
  return { cookies, headers: Object.fromEntries(joined) }
}

function joinedQuery(query: string): Record<string, string> {
  const joined = new Map<string, string>()
  for (const [name, value] of new URLSearchParams(query)) {
    const before = joined.get(name)
    joined.set(name, before === undefined ? value : `${before},${value}`)
  }
  return Object.fromEntries(joined)
}

/** `12/Mar/2020:19:03:58 +0000` */
function commonLogTime(now: Date): string {
  const [date = '', time = ''] = now.toISOString().split('T')
  const [year, month, day] = date.split('-')
  return `${day}/${months[Number(month) - 1]}/${year}:${time.slice(0, 8)} +0000`
}
