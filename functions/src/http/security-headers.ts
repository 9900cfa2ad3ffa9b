import type middy from '@middy/core'
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda'

/** The API serves data, and one page with a policy of its own; nobody may cache, frame, sniff or script it. */
const headers = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=63072000; includeSubDomains',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
} as const

type Request = middy.Request<APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2>

const add = ({ event, response }: Request): void => {
  if (!response) return
  response.headers = { ...headers, 'x-request-id': event.requestContext.requestId, ...response.headers }
}

export const securityHeaders = (): middy.MiddlewareObj<APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2> => ({
  after: add,
  onError: add,
})
