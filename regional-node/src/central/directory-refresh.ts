import { type Clock, pause } from '../clock.ts'

/** Least time between two reads that callers ask for: strangers must not set the pace at which central is asked. */
const leastGapMillis = 2000

/** Reads the directory of devices anew for callers that are not in it: those of the same moment share one read, one in 2 s at most. */
export class DirectoryRefresh {
  readonly #clock: Clock
  readonly #read: (millis: number) => Promise<void>
  #lastStart = Number.NEGATIVE_INFINITY
  #next: Promise<void> | undefined

  /** @param read resolves when the directory was read anew by a request from now on, or after so many milliseconds */
  constructor(clock: Clock, read: (millis: number) => Promise<void>) {
    this.#clock = clock
    this.#read = read
  }

  /** Resolves when the directory was read by a request that began from now on, or after so many milliseconds. */
  async refreshed(millis: number): Promise<void> {
    const controller = new AbortController()
    const late = pause(this.#clock, millis, controller.signal).catch(() => {})
    this.#next ??= this.#start(millis)
    await Promise.race([this.#next, late])
    controller.abort()
  }

  async #start(millis: number): Promise<void> {
    const wait = this.#lastStart + leastGapMillis - this.#clock.monotonic()
    await (wait > 0 ? pause(this.#clock, wait, new AbortController().signal) : undefined)
    this.#lastStart = this.#clock.monotonic()
    // Who comes from here on may have been registered after this read.
    this.#next = undefined
    await this.#read(millis)
  }
}
