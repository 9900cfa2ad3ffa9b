import { leaseTimes, type NodeStatusAnswer, type NodeStatusRequest } from '@tributary/contracts/node-status'
import { backoffMillis, type Clock } from '../clock.ts'
import type { Logger } from '../journal/logger.ts'

/** Least time between two calls that are not due by the clock: at most four a second. */
const leastPauseMillis = 250
/** Calls that one event asks of many nodes are spread over so long. */
const jitterMillis = 50

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
  /** When the timer fires, monotonic. */
  #due = Number.POSITIVE_INFINITY
  #running: Promise<boolean> | undefined
  #isCalling = false
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

  /** Asks for a call now; requests of the same moment share one. While central does not answer, its pauses hold. */
  soon(): void {
    if (this.#isCalling) {
      this.#again = true
      return
    }
    if (this.#failures > 0) return
    const now = this.#clock.monotonic()
    const wait = Math.max(0, this.#lastStart + leastPauseMillis - now) + Math.random() * jitterMillis
    // A call that is near enough stays, or a stream of requests would put it off for ever.
    if (now + wait < this.#due - jitterMillis) this.#schedule(wait)
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
    this.#unschedule()
    await this.#running
    this.#unschedule()
    await this.#call()
    this.stop()
    return this.#failures === 0
  }

  stop(): void {
    this.#unschedule()
    this.#stop.abort(new Error('the node stops'))
    for (const waiter of this.#waiters) waiter()
  }

  #unschedule(): void {
    this.#timer?.[Symbol.dispose]()
    this.#due = Number.POSITIVE_INFINITY
  }

  #schedule(millis: number): void {
    this.#unschedule()
    if (this.#stop.signal.aborted) return
    this.#due = this.#clock.monotonic() + millis
    this.#timer = this.#clock.after(millis, () => {
      this.#due = Number.POSITIVE_INFINITY
      this.#running = this.#call()
      void this.#running.then(more => {
        this.#running = undefined
        this.#schedule(this.#pauseMillis(more))
      })
    })
  }

  /** Milliseconds until the next call, after one that left more outstanding or not. */
  #pauseMillis(more: boolean): number {
    const again = this.#again
    this.#again = false
    if (this.#failures > 0) return backoffMillis(this.#failures - 1, 500, 4000)
    const elapsed = this.#clock.monotonic() - this.#lastStart
    if (more) return Math.max(0, leastPauseMillis - elapsed)
    // Drawn shorter, never longer: nodes that started together do not call together, and no lease waits.
    const wanted = again ? leastPauseMillis : leaseTimes.renewSeconds * (0.9 + Math.random() / 10) * 1000
    return Math.max(leastPauseMillis, wanted - elapsed) + Math.random() * (again ? jitterMillis : 0)
  }

  /** Whether more is outstanding; false after a failure, which is counted. */
  async #call(): Promise<boolean> {
    const waiters = this.#waiters
    this.#waiters = []
    this.#lastStart = this.#clock.monotonic()
    this.#isCalling = true
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
    } finally {
      this.#isCalling = false
    }
  }
}
