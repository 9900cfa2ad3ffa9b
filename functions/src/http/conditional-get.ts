import { createHash } from 'node:crypto'
import type middy from '@middy/core'
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda'

/** ETag on every successful GET, and 304 where the caller has that body already (RFC 9110, section 13). */
export const conditionalGet = (): middy.MiddlewareObj<APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2> => ({
  after: ({ event, response }) => {
    if (event.requestContext.http.method !== 'GET' || response?.statusCode !== 200) return
    const etag = `W/"${createHash('sha256')
      .update(response.body ?? '')
      .digest('base64url')
      .slice(0, 22)}"`
    response.headers = { ...response.headers, etag }
    if (!matches(headerOf(event, 'if-none-match'), etag)) return
    response.statusCode = 304
    delete response.body
    delete response.headers['content-type']
  },
})

const headerOf = (event: APIGatewayProxyEventV2, name: string): string =>
  event.headers[name] ?? Object.entries(event.headers).find(([key]) => key.toLowerCase() === name)?.[1] ?? ''

// Weak comparison, RFC 9110, 8.8.3.2: the opaque parts alone.
const matches = (ifNoneMatch: string, etag: string): boolean => {
  if (ifNoneMatch.trim() === '*') return true
  const opaque = etag.slice(2)
  return ifNoneMatch.split(',').some(candidate => candidate.trim().replace(/^W\//, '') === opaque)
}
