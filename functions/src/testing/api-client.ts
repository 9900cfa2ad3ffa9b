import { randomUUID } from 'node:crypto'
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Context } from 'aws-lambda'
import type { httpApi } from '../http/http-api.ts'

export type ApiAnswer = {
  readonly status: number
  readonly headers: Record<string, unknown>
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly body: any
}

export type ApiRequestOptions = {
  readonly token?: string
  /** JSON, or text as it is. */
  readonly body?: unknown
  readonly headers?: Record<string, string>
  readonly query?: string
  /** An Idempotency-Key; POST requests draw one when it is absent, none when it is null. */
  readonly key?: string | null
  readonly base64?: boolean
  /** Time until the function's end, ms. @default 15 s */
  readonly remainingMillis?: number
}

/** Calls a function as the HTTP API does. */
export const apiClient =
  (handler: ReturnType<typeof httpApi>) =>
  async (method: string, path: string, options: ApiRequestOptions = {}): Promise<ApiAnswer> => {
    const event = eventOf(method, path, options)
    const context = {
      awsRequestId: randomUUID(),
      getRemainingTimeInMillis: () => options.remainingMillis ?? 15_000,
    } as Context
    const answer = (await handler(event, context)) as APIGatewayProxyStructuredResultV2
    const headers = answer.headers ?? {}
    const json = /\bjson\b/.test(String(headers['content-type'] ?? ''))
    return { status: answer.statusCode ?? 0, headers, body: json ? JSON.parse(answer.body ?? '') : answer.body }
  }

const eventOf = (method: string, path: string, options: ApiRequestOptions): APIGatewayProxyEventV2 => {
  const { token, body, query = '', key = method === 'POST' ? randomUUID() : null, base64 = false } = options
  const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body)
  return {
    version: '2.0',
    routeKey: `${method} ${path}`,
    rawPath: path,
    rawQueryString: query,
    headers: {
      ...(text === undefined ? {} : { 'content-type': 'application/json' }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(key === null ? {} : { 'idempotency-key': key }),
      ...options.headers,
    },
    requestContext: {
      requestId: randomUUID(),
      http: { method, path, protocol: 'HTTP/1.1', sourceIp: '127.0.0.1', userAgent: 'test' },
    } as APIGatewayProxyEventV2['requestContext'],
    ...(text === undefined ? {} : { body: base64 ? Buffer.from(text).toString('base64') : text }),
    isBase64Encoded: base64,
  }
}
