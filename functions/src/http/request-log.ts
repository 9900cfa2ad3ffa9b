import type middy from '@middy/core'
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda'
import type { Log } from '../log.ts'

type Request = middy.Request<APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2>

/** One line a request: method, path, status, milliseconds. */
export const requestLog = (
  log: Log,
): middy.MiddlewareObj<APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2> => {
  const started = new WeakMap<object, number>()
  const end = ({ event, response }: Request): void => {
    const { requestId, http } = event.requestContext
    const millis = Math.round(performance.now() - (started.get(event) ?? performance.now()))
    log.info({ requestId, method: http.method, path: http.path, status: response?.statusCode, millis }, 'request')
  }
  return { before: ({ event }) => void started.set(event, performance.now()), after: end, onError: end }
}
