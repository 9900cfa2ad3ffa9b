import { type DerivedMetric, derivedMetrics } from '@tributary/contracts/evaluation-metrics'
import type { MetricSums } from '@tributary/contracts/round'
import type { RoundMetrics } from '@tributary/contracts/task-views'
import { isPlainSum } from '../../evaluation/metric-sums.ts'

/** Names of additive metrics that stand for themselves, in order. */
export const sumNames = (list: readonly MetricSums[]): string[] =>
  [...new Set(list.flatMap(sums => Object.keys(sums)))].filter(isPlainSum).toSorted()

/** Values beside accuracy and loss that an evaluation of any round has, in the order of the contract. */
export const resultNames = (rounds: readonly RoundMetrics[]): DerivedMetric[] =>
  (Object.keys(derivedMetrics) as DerivedMetric[]).filter(
    name => name !== 'accuracy' && name !== 'loss' && rounds.some(({ results }) => Object.hasOwn(results, name)),
  )
