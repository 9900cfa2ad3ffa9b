import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda'
import type { FunctionInvoker } from './function-invoker.ts'

const deadlineMillis = 3000

/** Lambda Invoke with InvocationType Event: returns once the invocation is queued. */
export class LambdaInvoker implements FunctionInvoker {
  readonly #client: LambdaClient

  constructor(client: LambdaClient = new LambdaClient({ maxAttempts: 2 })) {
    this.#client = client
  }

  async invoke(functionName: string, payload: unknown): Promise<void> {
    await this.#client.send(
      new InvokeCommand({ FunctionName: functionName, InvocationType: 'Event', Payload: JSON.stringify(payload) }),
      { abortSignal: AbortSignal.timeout(deadlineMillis) },
    )
  }
}
