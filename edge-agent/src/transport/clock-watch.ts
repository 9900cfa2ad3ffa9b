import type { Logger } from 'pino'
import { askCentral } from './ask-central.ts'
import { clockDifference, mostClockMillis } from './clock-difference.ts'

const answerMillis = 5_000
/** Central is asked for the time no more often than this. */
const leastGapMillis = 60_000

export type ClockWatchOptions = {
  /** Of central's REST API; without it only nodes tell the time. */
  readonly centralUrl: string | undefined
  readonly log: Logger
}

/**
 * Tells the owner when this device's clock is off, by the time that others tell with their answers, and when it is right again. Nothing is
 * decided by it: who tells a wrong time makes a wrong message, and no more.
 */
export class ClockWatch {
  readonly #options: ClockWatchOptions
  #fault: string | undefined
  #askedAt = Number.NEGATIVE_INFINITY

  constructor(options: ClockWatchOptions) {
    this.#options = options
  }

  /** How far the clock is off, and what to do; undefined while it is right, or nobody has told a time. */
  get fault(): string | undefined {
    return this.#fault
  }

  /**
   * Compares the clock with a time that was told just now.
   * @param whose e.g. "central"
   */
  compare(there: Date | undefined, whose: string): void {
    if (there === undefined) return
    const { log } = this.#options
    const { offMillis, message } = clockDifference(new Date(), there, whose)
    const before = this.#fault
    this.#fault = offMillis < mostClockMillis ? undefined : message
    if (before === undefined && this.#fault !== undefined) log.error(message)
    if (before !== undefined && this.#fault === undefined)
      log.info(`the clock of this device fits that of ${whose} again`)
  }

  /**
   * Where times do not fit and no node can be reached by that, central may say how far the clock is off. Who answers is not checked, as a
   * wrong clock is why nobody can be, and nothing is sent. Never rejects.
   */
  async askCentral(signal: AbortSignal): Promise<void> {
    const { centralUrl, log } = this.#options
    if (centralUrl === undefined || performance.now() - this.#askedAt < leastGapMillis) return
    this.#askedAt = performance.now()
    try {
      const { date } = await askCentral(centralUrl, AbortSignal.any([signal, AbortSignal.timeout(answerMillis)]))
      this.compare(date, 'central')
    } catch (error) {
      log.debug({ err: error }, 'central does not tell the time')
    }
  }
}
