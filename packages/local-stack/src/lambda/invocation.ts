/** Lambda's limits of one synchronous and one asynchronous invocation, bytes. */
export const payloadLimits = { synchronous: 6 * 1024 * 1024, asynchronous: 1024 * 1024 } as const

/** What a function answered, or how it failed; `payload` is JSON in both cases. */
export interface InvocationResult {
  readonly requestId: string
  readonly payload: Buffer
  /** Present when the function failed: what Lambda calls the error type, e.g. `Sandbox.Timedout`. */
  readonly errorType?: string
}

/** No instance became free in time, or too many wait already; Lambda answers 429 then. */
export class ThrottledError extends Error {
  constructor(functionName: string, reason: string) {
    super(`${functionName}: ${reason}`)
    this.name = 'ThrottledError'
  }
}

/** Builds the answer to an invocation that the platform, not the handler, ended. */
export function platformError(requestId: string, errorType: string, message: string): InvocationResult {
  const errorMessage = `RequestId: ${requestId} Error: ${message}`
  return { requestId, errorType, payload: Buffer.from(JSON.stringify({ errorType, errorMessage })) }
}
