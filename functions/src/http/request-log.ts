import type middy from '@middy/core'
import { routes } from '@tributary/contracts/routes'
import type { Route } from '@tributary/contracts/routes/route'
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda'
import type { Log } from '../log.ts'
import { coldStart } from '../metrics/cold-start.ts'
import type { Metrics } from '../metrics/metrics.ts'

type Request = middy.Request<APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2>

const routeNames = new Map(
  (Object.entries(routes) as [string, Route][]).map(([name, { method, path }]) => [`${method} ${path}`, name]),
)

/** One line a request: method, path, status, milliseconds; and what is measured of it. */
export const requestLog = (
  log: Log,
  metrics: Metrics,
): middy.MiddlewareObj<APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2> => {
  const started = new WeakMap<object, number>()
  const end = ({ event, response }: Request): void => {
    const { requestId, http } = event.requestContext
    const millis = Math.round(performance.now() - (started.get(event) ?? performance.now()))
    const status = response?.statusCode ?? 500
    log.info({ requestId, method: http.method, path: http.path, status, millis }, 'request')
    const samples = {
      Requests: 1,
      RequestDuration: millis,
      ...(status === 429 ? { RateLimited: 1 } : {}),
      ...coldStart(),
    }
    metrics.add(samples, { route: routeNames.get(event.routeKey) ?? 'none', status: String(status) })
  }
  return { before: ({ event }) => void started.set(event, performance.now()), after: end, onError: end }
}
