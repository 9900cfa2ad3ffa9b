import { leaseTimes, type NodeStatusAnswer, type NodeStatusRequest } from '@tributary/contracts/node-status'
import { backoffMillis, type Clock } from '../clock.ts'
import type { Logger } from '../journal/logger.ts'

/** Least time between two calls that are not due by the clock. */
const leastPauseMillis = 200

export type StatusExchange = {
  /** What to tell central now. */
  readonly request: () => NodeStatusRequest
  /** Sends it. */
  readonly send: (request: NodeStatusRequest, signal: AbortSignal) => Promise<NodeStatusAnswer>
  /** Takes the answer over; `sentAt` is monotonic. */
  readonly apply: (answer: NodeStatusAnswer, sentAt: number) => Promise<void>
}

/** Calls central every 5 s, at once when asked to, and again soon when a page of the directory is outstanding or a call failed. */
export class StatusLoop {
  readonly #exchange: StatusExchange
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #stop = new AbortController()
  #timer: Disposable | undefined
  #running: Promise<boolean> | undefined
  #again = false
  #failures = 0
  #lastStart = Number.NEGATIVE_INFINITY
  #waiters: (() => void)[] = []

  constructor(exchange: StatusExchange, clock: Clock, logger: Logger) {
    this.#exchange = exchange
    this.#clock = clock
    this.#logger = logger
  }

  /** Failed calls since the last that succeeded. */
  get failures(): number {
    return this.#failures
  }

  start(): void {
    this.#schedule(0)
  }

  /** Asks for a call now; requests of the same moment share one. */
  soon(): void {
    if (this.#stop.signal.aborted) return
    if (this.#running !== undefined) {
      this.#again = true
      return
    }
    this.#schedule(Math.max(0, this.#lastStart + leastPauseMillis - this.#clock.monotonic()))
  }

  /** Resolves after the next answer to a call that begins from now on, or after `millis`. */
  refreshed(millis: number): Promise<void> {
    return new Promise(resolve => {
      const finish = () => {
        timer[Symbol.dispose]()
        this.#waiters = this.#waiters.filter(waiter => waiter !== finish)
        resolve()
      }
      const timer = this.#clock.after(millis, finish)
      // A call that runs already was asked before: it may not know.
      void (this.#running ?? Promise.resolve()).then(() => {
        this.#waiters.push(finish)
        this.soon()
      })
    })
  }

  /** Makes a last call, e.g. to give the leases back, and ends. Whether it succeeded. */
  async finish(): Promise<boolean> {
    this.#timer?.[Symbol.dispose]()
    await this.#running
    this.#timer?.[Symbol.dispose]()
    await this.#call()
    this.stop()
    return this.#failures === 0
  }

  stop(): void {
    this.#timer?.[Symbol.dispose]()
    this.#stop.abort(new Error('the node stops'))
    for (const waiter of this.#waiters) waiter()
  }

  #schedule(millis: number): void {
    this.#timer?.[Symbol.dispose]()
    if (this.#stop.signal.aborted) return
    this.#timer = this.#clock.after(millis, () => {
      this.#running = this.#call()
      void this.#running.then(more => {
        this.#running = undefined
        if (this.#failures > 0) return this.#schedule(backoffMillis(this.#failures - 1, 500, 4000))
        const again = more || this.#again
        this.#again = false
        const elapsed = this.#clock.monotonic() - this.#lastStart
        const wanted = again ? leastPauseMillis : leaseTimes.renewSeconds * 1000
        this.#schedule(Math.max(more ? 0 : leastPauseMillis, wanted - elapsed))
      })
    })
  }

  /** Whether more is outstanding; false after a failure, which is counted. */
  async #call(): Promise<boolean> {
    const waiters = this.#waiters
    this.#waiters = []
    this.#lastStart = this.#clock.monotonic()
    try {
      const answer = await this.#exchange.send(this.#exchange.request(), this.#stop.signal)
      await this.#exchange.apply(answer, this.#lastStart)
      this.#failures = 0
      for (const waiter of waiters) waiter()
      return !answer.directory.complete
    } catch (error) {
      this.#failures += 1
      this.#waiters.push(...waiters)
      if (!this.#stop.signal.aborted) this.#logger.warn({ err: error, failures: this.#failures }, 'status call failed')
      return false
    }
  }
}
