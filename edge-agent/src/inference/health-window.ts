/** Requests of the last minute, failures among them. */
const spanMillis = 60_000
/** Fewer failures than these say nothing. */
const leastFailures = 5
/** A version of which a larger share of requests fails is not healthy. */
const mostFailureShare = 0.2

const slots = 12
const slotMillis = spanMillis / slots

/**
 * How a version fares with real requests: what the runtime failed at, what ended its process, numbers that are not finite. A sliding
 * window in slots, so that memory does not grow with requests.
 */
export class HealthWindow {
  readonly #slots: { at: number; requests: number; failures: number }[] = []

  /** @param now ms of a clock that never goes back */
  add(failed: boolean, now: number): void {
    const at = Math.floor(now / slotMillis)
    let slot = this.#slots.at(-1)
    if (slot?.at !== at) {
      slot = { at, requests: 0, failures: 0 }
      this.#slots.push(slot)
      while ((this.#slots[0]?.at ?? at) <= at - slots) this.#slots.shift()
    }
    slot.requests += 1
    if (failed) slot.failures += 1
  }

  /** What is wrong, in one sentence; undefined while the version is healthy. */
  complaint(now: number): string | undefined {
    const first = Math.floor(now / slotMillis) - slots
    const recent = this.#slots.filter(({ at }) => at > first)
    const requests = recent.reduce((sum, slot) => sum + slot.requests, 0)
    const failures = recent.reduce((sum, slot) => sum + slot.failures, 0)
    if (failures < leastFailures || failures <= requests * mostFailureShare) return undefined
    return `${failures} of ${requests} requests within a minute failed in the runtime or gave numbers that are not finite.`
  }
}
