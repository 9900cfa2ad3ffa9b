import type { Clock } from '../clock.ts'

/** A clock that moves when told to. */
export class ManualClock implements Clock {
  #now: number
  readonly #start: number
  #timers: { readonly at: number; readonly action: () => void }[] = []

  constructor(now = Date.parse('2026-01-01T00:00:00Z')) {
    this.#now = now
    this.#start = now
  }

  now = (): number => this.#now
  monotonic = (): number => this.#now - this.#start

  after = (millis: number, action: () => void): Disposable => {
    const timer = { at: this.#now + Math.max(0, millis), action }
    this.#timers.push(timer)
    return {
      [Symbol.dispose]: () => {
        this.#timers = this.#timers.filter(other => other !== timer)
      },
    }
  }

  /** Moves on, running the timers that come due in their order. */
  advance(millis: number): void {
    const end = this.#now + millis
    for (;;) {
      const [next] = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
      if (next === undefined) break
      this.#timers = this.#timers.filter(other => other !== next)
      this.#now = Math.max(this.#now, next.at)
      next.action()
    }
    this.#now = end
  }
}

/** Waits for what other turns of the event loop bring about, 10 s at most. */
export const until = async <Value>(read: () => Value | undefined | null | false): Promise<Value> => {
  const end = performance.now() + 10_000
  for (;;) {
    const value = read()
    if (value !== undefined && value !== null && value !== false) return value
    if (performance.now() > end) throw new Error(`it never happened: ${read}`)
    await new Promise(setImmediate)
  }
}
