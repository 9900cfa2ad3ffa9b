import middy from '@middy/core'
import { TributaryError } from '@tributary/contracts/errors'
import type { ApiFunction } from '@tributary/contracts/routes/route'
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Context as LambdaContext } from 'aws-lambda'
import { type ApiParts, callAnswerer } from './answer-call.ts'
import { apiCallOf } from './api-call.ts'
import { conditionalGet } from './conditional-get.ts'
import { problemDetails } from './problem-details.ts'
import { requestLog } from './request-log.ts'
import { securityHeaders } from './security-headers.ts'

/** Time before the function's end at which an unfinished request is answered with UNAVAILABLE. */
const reserveMillis = 300

/** The Lambda handler of an HTTP API (payload format 2.0) over the routes of one function. */
export const httpApi = <Function extends ApiFunction>(parts: ApiParts<Function>) => {
  const answer = callAnswerer(parts)
  return middy<APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2, Error, LambdaContext>({
    timeoutEarlyInMillis: reserveMillis,
    timeoutEarlyResponse: () => {
      // What still waits for a silent connection must not make the next request wait as well.
      parts.database.discard()
      throw new TributaryError('UNAVAILABLE', { cause: new Error('the time of the function is over') })
    },
  })
    .use(requestLog(parts.log, parts.metrics))
    .use(securityHeaders())
    .use(problemDetails(parts.log))
    .use(conditionalGet())
    .handler((event: APIGatewayProxyEventV2, _: LambdaContext, { signal }: { signal: AbortSignal }) =>
      answer(apiCallOf(event), signal),
    )
}
