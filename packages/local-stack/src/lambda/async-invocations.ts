import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { FunctionPool } from './function-pool.ts'

export interface AsyncInvocationsOptions {
  /** Most events of one function that are kept. */
  readonly maxEvents: number
  /** Pauses before the second and the third attempt; Lambda's are 60 and 120 s. */
  readonly retrySeconds: readonly number[]
  readonly onDiscarded: (functionName: string, message: string) => void
}

/**
 * Events of `InvocationType: Event` and of schedules: accepted at once, tried three times, then discarded.
 * https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
 */
export class AsyncInvocations implements AsyncDisposable {
  readonly #options: AsyncInvocationsOptions
  readonly #events = new Map<FunctionPool, number>()
  readonly #deliveries = new Set<Promise<void>>()
  readonly #stopping = new AbortController()

  constructor(options: AsyncInvocationsOptions) {
    this.#options = options
  }

  /** The request id of the accepted event; undefined when the function's queue is full. */
  accept(pool: FunctionPool, payload: Buffer): string | undefined {
    const kept = this.#events.get(pool) ?? 0
    if (kept >= this.#options.maxEvents || this.#stopping.signal.aborted) return undefined
    this.#events.set(pool, kept + 1)
    const requestId = randomUUID()
    const delivery = this.#deliver(pool, payload, requestId).finally(() => {
      this.#events.set(pool, (this.#events.get(pool) ?? 1) - 1)
      this.#deliveries.delete(delivery)
    })
    this.#deliveries.add(delivery)
    return requestId
  }

  /** Events that wait for another attempt are given up; those that run are the pools' to end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort()
    await Promise.all(this.#deliveries)
  }

  async #deliver(pool: FunctionPool, payload: Buffer, requestId: string): Promise<void> {
    const { retrySeconds, onDiscarded } = this.#options
    let failure = ''
    for (const pauseSeconds of [0, ...retrySeconds]) {
      try {
        if (pauseSeconds > 0) await delay(pauseSeconds * 1000, undefined, { signal: this.#stopping.signal })
        const result = await pool.invoke(payload, 'unbounded', requestId)
        if (result.errorType === undefined) return
        failure = `${result.errorType}: ${result.payload.toString('utf8').slice(0, 500)}`
      } catch (error) {
        failure = (error as Error).message
      }
      if (this.#stopping.signal.aborted) break
    }
    onDiscarded(pool.spec.name, `event ${requestId} discarded: ${failure}`)
  }
}
