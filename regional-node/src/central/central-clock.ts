import type { Clock } from '../clock.ts'

/** Most that a monotonic clock drifts against another: the kernel slews it by 500 ppm at most, adjtimex(2), quartz adds to it. */
const driftPerMilli = 0.001

/** When a question was sent and its answer was there, monotonic milliseconds. */
export type RoundTrip = { readonly sentAt: number; readonly receivedAt: number }

type Estimate = { readonly offset: number; readonly error: number; readonly at: number }

/**
 * A clock whose `now` is the time of central's database, by which every deadline is set, whatever the machine's own clock says.
 * Until central was heard it is the machine's. Kept on the monotonic clock, so that a step of the machine's changes nothing.
 */
export class CentralClock implements Clock {
  readonly #local: Clock
  #estimate: Estimate | undefined

  constructor(local: Clock) {
    this.#local = local
  }

  now = (): number =>
    this.#estimate === undefined ? this.#local.now() : this.#local.monotonic() + this.#estimate.offset

  monotonic = (): number => this.#local.monotonic()

  after = (millis: number, action: () => void): Disposable => this.#local.after(millis, action)

  /**
   * Takes over that it was `time` (Unix milliseconds) at central some time during the round trip: in its middle, by half of
   * it at most wrong. The reading with the smallest error stays, until it is old or cannot be true beside a newer one.
   * @param resolutionMillis how coarse `time` is
   */
  heard(time: number, { sentAt, receivedAt }: RoundTrip, resolutionMillis = 1): void {
    // Cristian 1989, Probabilistic clock synchronization
    const error = (receivedAt - sentAt + resolutionMillis) / 2
    const offset = time + resolutionMillis / 2 - (sentAt + receivedAt) / 2
    const kept = this.#estimate
    if (kept !== undefined) {
      const keptError = kept.error + (receivedAt - kept.at) * driftPerMilli
      const agrees = Math.abs(offset - kept.offset) <= error + keptError
      if (agrees && keptError < error) return
    }
    this.#estimate = { offset, error, at: receivedAt }
  }
}
