/** One run of the loop graph: long enough that its fixed cost vanishes, short enough that cancelling feels immediate. */
const targetSeconds = 0.1

/** Chooses how many steps one run makes, from how long steps took. The number never changes what is computed. */
export class StepsPerRun {
  #steps = 1

  get steps(): number {
    return this.#steps
  }

  /** Learns from a run; grows at most fourfold a run, since the first runs also warm up. */
  observe(steps: number, seconds: number): void {
    const fitting = Math.floor((targetSeconds * steps) / Math.max(seconds, 1e-6))
    this.#steps = Math.max(1, Math.min(fitting, steps * 4))
  }
}
