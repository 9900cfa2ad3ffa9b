import type middy from '@middy/core'
import { asTributaryError, type TributaryError } from '@tributary/contracts/errors'
import { problemOf } from '@tributary/contracts/problem'
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda'
import type { Log } from '../log.ts'

/** Every error becomes a problem document (RFC 9457); its cause goes to the log only. */
export const problemDetails = (
  log: Log,
): middy.MiddlewareObj<APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2> => ({
  onError: request => {
    const { requestId } = request.event.requestContext
    const error = asTributaryError(request.error)
    const fields = { requestId, code: error.code, error: error.cause ?? error }
    if (error.entry.http >= 500) log.error(fields, 'the request failed')
    else if (error.cause !== undefined) log.info(fields, 'the request was refused')
    request.response = problemResponse(error, requestId)
  },
})

export const problemResponse = (error: TributaryError, requestId: string): APIGatewayProxyStructuredResultV2 => ({
  statusCode: error.entry.http,
  headers: { 'content-type': 'application/problem+json', ...protocolHeaders(error) },
  body: JSON.stringify(problemOf(error, requestId)),
})

/** Headers that HTTP wants beside some statuses. */
const protocolHeaders = ({ entry, extra }: TributaryError): Record<string, string> => {
  switch (entry.http) {
    case 401:
      return { 'www-authenticate': 'Bearer realm="tributary"' }
    case 405:
      return { allow: Array.isArray(extra.allow) ? extra.allow.join(', ') : '' }
    case 429:
    case 503:
      return { 'retry-after': String(typeof extra.retryAfterSeconds === 'number' ? extra.retryAfterSeconds : 1) }
    default:
      return {}
  }
}
