/** One look at one thing that takes memory. */
export type Sample = {
  /** Rounds that were done by then. */
  readonly rounds: number
  readonly bytes: number
}

/** How memory went over the second half, when everything has its size. */
export type MemoryTrend = {
  /** Mean over the second half, bytes. */
  readonly level: number
  /** Bytes a round. */
  readonly slope: number
  /** Standard error of the slope, bytes a round: by how much the lowest samples scatter about the line. */
  readonly slopeError: number
  /** Bytes that the slope makes over the second half. */
  readonly growth: number
}

const windows = 10

/**
 * Fits a straight line (least squares) to the smallest sample of each tenth of the second half: garbage that waits to be
 * collected is no growth.
 * @returns null where there are too few samples
 */
export const memoryTrend = (samples: readonly Sample[]): MemoryTrend | null => {
  const last = samples.at(-1)?.rounds ?? 0
  const half = samples.filter(({ rounds }) => rounds >= last / 2)
  const length = last - last / 2
  const lowest = new Map<number, Sample>()
  for (const sample of half) {
    const window = Math.min(windows - 1, Math.floor(((sample.rounds - last / 2) / length) * windows))
    const known = lowest.get(window)
    if (known === undefined || sample.bytes < known.bytes) lowest.set(window, sample)
  }
  const points = [...lowest.values()]
  if (points.length < 3) return null
  const meanOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const [x, y] = [meanOf(points.map(({ rounds }) => rounds)), meanOf(points.map(({ bytes }) => bytes))]
  const across = points.reduce((sum, { rounds, bytes }) => sum + (rounds - x) * (bytes - y), 0)
  const along = points.reduce((sum, { rounds }) => sum + (rounds - x) ** 2, 0)
  if (along === 0) return null
  const slope = across / along
  const residual = points.reduce((sum, { rounds, bytes }) => sum + (bytes - y - slope * (rounds - x)) ** 2, 0)
  const slopeError = Math.sqrt(residual / (points.length - 2) / along)
  return { level: meanOf(half.map(({ bytes }) => bytes)), slope, slopeError, growth: slope * length }
}
