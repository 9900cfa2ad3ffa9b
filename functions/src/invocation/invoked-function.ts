import middy from '@middy/core'
import type { Context as LambdaContext } from 'aws-lambda'
import { coreSections, readConfig } from '../config.ts'
import { type Context, createContext } from '../context.ts'
import { log as logInvocation } from './invocation-log.ts'

export type Invocation = {
  readonly requestId: string
  /** Aborts shortly before the function's time ends. */
  readonly signal: AbortSignal
  readonly remainingMillis: () => number
}

/** What an invocation does with its payload. A rejection is an error of the function: its trigger tries again. */
export type InvocationHandler = (payload: unknown, invocation: Invocation) => Promise<unknown>

/** Time kept for ending in good order. */
const reserveMillis = 500

/**
 * A function that is started by Invoke, a schedule or a queue.
 * @param handlerOf called once for the life of the instance
 * @throws ConfigError
 */
export const invokedFunction = (
  name: string,
  handlerOf: (context: Context) => InvocationHandler,
  parts: { statementSeconds?: number } = {},
) => {
  const context = createContext(readConfig(coreSections), name, parts)
  const handle = handlerOf(context)
  return middy<unknown, unknown, Error, LambdaContext>()
    .use(logInvocation(context.log, context.metrics))
    .handler(async (payload: unknown, lambda: LambdaContext) => {
      const remainingMillis = () => lambda.getRemainingTimeInMillis()
      const deadline = Math.max(0, remainingMillis() - reserveMillis)
      return handle(payload, { requestId: lambda.awsRequestId, signal: AbortSignal.timeout(deadline), remainingMillis })
    })
}
