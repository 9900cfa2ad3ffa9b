import type middy from '@middy/core'
import type { Log } from '../log.ts'
import { coldStart } from '../metrics/cold-start.ts'
import type { Metrics } from '../metrics/metrics.ts'

/** One line an invocation that failed, with the cause; middy then hands the error on to Lambda. And what is measured of all of them. */
export const log = (logger: Log, metrics: Metrics): middy.MiddlewareObj => {
  // An instance serves one invocation at a time.
  let started = 0
  const end = (outcome: 'done' | 'failed'): void =>
    metrics.add({ Invocations: 1, InvocationDuration: performance.now() - started, ...coldStart() }, { outcome })
  return {
    before: () => {
      started = performance.now()
    },
    after: () => end('done'),
    onError: ({ error, context }) => {
      logger.error({ error, requestId: context?.awsRequestId }, 'the invocation failed')
      end('failed')
    },
  }
}
