import type middy from '@middy/core'
import type { Log } from '../log.ts'

/** One line an invocation that failed, with the cause; middy then hands the error on to Lambda. */
export const log = (logger: Log): middy.MiddlewareObj => ({
  onError: ({ error, context }) => {
    logger.error({ error, requestId: context?.awsRequestId }, 'the invocation failed')
  },
})
