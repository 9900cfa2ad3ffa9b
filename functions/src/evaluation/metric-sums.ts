import type { MetricSums } from '@tributary/contracts/round'
import { mostSumNames } from '@tributary/learning/evaluation/sum-names'

/** Names of one evaluation: all that evaluations are made of, and as many that only devices know. */
export const mostSums = 2 * mostSumNames

/** Adds additive integers by name, exactly. */
export const addMetricSums = (list: Iterable<MetricSums>): MetricSums => {
  const sums = new Map<string, bigint>()
  for (const metrics of list) {
    for (const [name, value] of Object.entries(metrics)) sums.set(name, (sums.get(name) ?? 0n) + BigInt(value))
  }
  return Object.fromEntries([...sums].map(([name, value]) => [name, value.toString()]))
}

/** One of a family that is numbered through: confusion counts, bins of a histogram. */
const numbered = /_\d+$/

/** Whether a sum stands for itself. */
export const isPlainSum = (name: string): boolean => !numbered.test(name)

/** A sum by name; 0 where nobody reported it. */
export const metricOf = (metrics: MetricSums, name: string): bigint => BigInt(metrics[name] ?? 0)

/** Mean loss of an example from `examples` and `loss_q20`; null without examples, never NaN. */
export const meanLoss = (metrics: MetricSums): number | null => {
  const examples = metricOf(metrics, 'examples')
  return examples > 0n ? Number(metricOf(metrics, 'loss_q20')) / 2 ** 20 / Number(examples) : null
}
