/** The value that a share of all is not above; NaN of none. */
export const percentile = (values: readonly number[], share: number): number =>
  values.toSorted((left, right) => left - right)[Math.min(values.length - 1, Math.floor(values.length * share))] ??
  Number.NaN

export const median = (values: readonly number[]): number => percentile(values, 0.5)

/** Milliseconds of the fastest of the runs, as many as `goOn` wants. */
export const fastestMillis = (run: () => void, goOn: (runs: number) => boolean): number => {
  let best = Infinity
  for (let runs = 0; goOn(runs); runs += 1) {
    const start = performance.now()
    run()
    best = Math.min(best, performance.now() - start)
  }
  return best
}
