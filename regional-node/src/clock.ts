import { performance } from 'node:perf_hooks'

/** Time as the node sees it. Leases are measured on the monotonic clock, deadlines on the wall clock: central's, once known. */
export type Clock = {
  /** Unix milliseconds. */
  readonly now: () => number
  /** Milliseconds that only ever go forward. */
  readonly monotonic: () => number
  /** Runs `action` once after a time, unless disposed before. */
  readonly after: (millis: number, action: () => void) => Disposable
}

/** Node's timers hold 31 bits; a longer wait is cut and its owner looks at the clock again. */
const longestTimer = 2 ** 31 - 1

export const systemClock: Clock = {
  now: Date.now,
  monotonic: () => performance.now(),
  after: (millis, action) => {
    const timer = setTimeout(action, Math.min(Math.max(0, millis), longestTimer))
    return { [Symbol.dispose]: () => clearTimeout(timer) }
  },
}

/** Waits; rejects with the signal's reason when aborted first. */
export const pause = (clock: Clock, millis: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const onAbort = () => {
      timer[Symbol.dispose]()
      reject(signal.reason)
    }
    const timer = clock.after(millis, () => {
      signal.removeEventListener('abort', onAbort)
      resolve()
    })
    signal.addEventListener('abort', onAbort, { once: true })
  })

/** Waiting times between tries: doubling from `first` to `most`, each drawn between half and whole (jitter). */
export const backoffMillis = (tries: number, first: number, most: number): number =>
  Math.min(most, first * 2 ** Math.min(tries, 30)) * (0.5 + Math.random() / 2)
