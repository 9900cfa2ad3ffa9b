import type { MetricSums } from '@tributary/contracts/round'

/** One of a family that is numbered through: confusion counts, bins of a histogram. */
const numbered = /_\d+$/

/** Names of additive metrics that stand for themselves, in order. */
export const sumNames = (list: readonly MetricSums[]): string[] =>
  [...new Set(list.flatMap(sums => Object.keys(sums)))].filter(name => !numbered.test(name)).toSorted()
