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

  /** Takes up to `most` entries, oldest first. */
  take(most: number): LogEntry[] {
    const entries = this.#waiting.slice(0, most)
    this.#waiting = this.#waiting.slice(entries.length)
    if (this.#dropped > 0 && entries.length > 0) {
      const message = `${this.#dropped} older entries were dropped while central did not answer`
      this.#dropped = 0
      if (entries.length === most) this.#waiting.unshift(entries.pop() as LogEntry)
      entries.unshift({ time: new Date(this.#now()).toISOString(), level: 'warn', message })
    }
    return entries
  }
}
