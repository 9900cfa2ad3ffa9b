import type { LogEntry } from '@tributary/contracts/node-status'
import type { Logger } from './logger.ts'

/** What an entry is about. */
export type JournalContext = Pick<LogEntry, 'task' | 'round' | 'attempt' | 'shard' | 'device' | 'code' | 'fields'>

const mostWaiting = 5000

/**
 * What is worth an operator's eye: written to the local log, and kept for central in a bounded queue. When central is away
 * for long the oldest entries go, and how many went is told.
 */
export class Journal {
  readonly #logger: Logger
  readonly #now: () => number
  #waiting: LogEntry[] = []
  #dropped = 0
  #wake: () => void = () => {}

  constructor(logger: Logger, now: () => number) {
    this.#logger = logger
    this.#now = now
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** Called when entries wait. */
  onEntry(wake: () => void): void {
    this.#wake = wake
  }

  report(level: LogEntry['level'], message: string, context: JournalContext = {}): void {
    this.#logger[level](context, message)
    if (level === 'debug') return
    const entry = { time: new Date(this.#now()).toISOString(), level, message: message.slice(0, 2000), ...context }
    this.#waiting.push(entry)
    if (this.#waiting.length > mostWaiting) {
      this.#waiting.shift()
      this.#dropped += 1
    }
    this.#wake()
  }

  /**
   * Takes up to `most` entries, oldest first, whose JSON with a comma each is at most `mostBytes`; the first in any case.
   * That entries were dropped is told by an entry in front of them.
   */
  take(most: number, mostBytes: number): LogEntry[] {
    if (this.#dropped > 0 && this.#waiting.length > 0) {
      const message = `${this.#dropped} older entries were dropped while central did not answer`
      this.#dropped = 0
      this.#waiting.unshift({ time: new Date(this.#now()).toISOString(), level: 'warn', message })
    }
    let count = 0
    for (let bytes = 0; count < Math.min(most, this.#waiting.length); count += 1) {
      bytes += Buffer.byteLength(JSON.stringify(this.#waiting[count])) + 1
      if (bytes > mostBytes && count > 0) break
    }
    return this.#waiting.splice(0, count)
  }
}
