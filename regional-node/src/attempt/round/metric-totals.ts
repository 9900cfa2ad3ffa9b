import type { MetricSums } from '@tributary/contracts/round'

/** Names that one total holds; devices name their metrics, so their number is bounded. */
export const mostMetricNames = 256

/**
 * Exact sums of additive integer metrics. Of more names than are held the last by the alphabet go. A name that goes is behind all
 * that stay, and those only move forward: so it never comes back, and the result is the same in any order.
 */
export class MetricTotals {
  readonly #sums = new Map<string, bigint>()
  readonly #mostNames: number

  constructor(mostNames = mostMetricNames) {
    this.#mostNames = mostNames
  }

  add(metrics: MetricSums): void {
    for (const [name, value] of Object.entries(metrics)) {
      this.#sums.set(name, (this.#sums.get(name) ?? 0n) + BigInt(value))
      if (this.#sums.size > this.#mostNames) this.#sums.delete(this.#last())
    }
  }

  /** By name. */
  get sums(): MetricSums {
    return Object.fromEntries(
      [...this.#sums].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, sum]) => [name, `${sum}`]),
    )
  }

  #last(): string {
    let last = ''
    for (const name of this.#sums.keys()) if (name > last) last = name
    return last
  }
}
