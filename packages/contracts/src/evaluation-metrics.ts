import * as z from 'zod'
import type { Loss } from './loss.ts'

/**
 * What evaluators may be asked to find. The loss, and what is cheap and tells nothing of the labels (accuracy, mean absolute
 * error), is found in any case. docs/evaluation.md
 */
export const EvaluationMetric = z.enum([
  'loss',
  'accuracy',
  'top-5',
  'f1',
  'confusion',
  'auc',
  'perplexity',
  'mae',
  'rmse',
  'r2',
])
export type EvaluationMetric = z.infer<typeof EvaluationMetric>

/** What an evaluation without a list of metrics is asked for: everything that fits the labels, which the device knows best. */
export const defaultMetrics = 'default'

const ofClasses = ['loss', 'accuracy', 'top-5', 'f1', 'confusion', 'auc', 'perplexity'] as const
const ofNumbers = ['loss', 'mae', 'rmse', 'r2'] as const

/** Metrics that have a meaning under a loss. */
export const metricsOfLoss: Readonly<Record<Loss, readonly EvaluationMetric[]>> = {
  'softmax-cross-entropy': ofClasses,
  'negative-log-likelihood': ofClasses,
  'sigmoid-binary-cross-entropy': ['loss', 'accuracy', 'f1', 'confusion', 'auc'],
  'mean-squared-error': ofNumbers,
  'mean-absolute-error': ofNumbers,
  huber: ofNumbers,
}

/** Metrics whose sums tell how often which label occurs: they leave a device only where label histograms may. */
export const metricsOfLabels: ReadonlySet<EvaluationMetric> = new Set(['f1', 'confusion', 'auc', 'r2'])

const ofCounts = ['f1', 'confusion'] as const

/** Values that central derives from the sums: which metric each is of, and whether more of it is better. */
export const derivedMetrics = {
  accuracy: { of: ['accuracy'], higherIsBetter: true },
  loss: { of: ['loss'], higherIsBetter: false },
  top5Accuracy: { of: ['top-5'], higherIsBetter: true },
  balancedAccuracy: { of: ofCounts, higherIsBetter: true },
  precisionMacro: { of: ofCounts, higherIsBetter: true },
  recallMacro: { of: ofCounts, higherIsBetter: true },
  f1Macro: { of: ofCounts, higherIsBetter: true },
  precisionWeighted: { of: ofCounts, higherIsBetter: true },
  recallWeighted: { of: ofCounts, higherIsBetter: true },
  f1Weighted: { of: ofCounts, higherIsBetter: true },
  f1Micro: { of: ofCounts, higherIsBetter: true },
  precision: { of: ofCounts, higherIsBetter: true },
  recall: { of: ofCounts, higherIsBetter: true },
  f1: { of: ofCounts, higherIsBetter: true },
  auc: { of: ['auc'], higherIsBetter: true },
  aucLow: { of: ['auc'], higherIsBetter: true },
  aucHigh: { of: ['auc'], higherIsBetter: true },
  perplexity: { of: ['perplexity'], higherIsBetter: false },
  mae: { of: ['mae'], higherIsBetter: false },
  rmse: { of: ['rmse'], higherIsBetter: false },
  r2: { of: ['r2'], higherIsBetter: true },
} as const satisfies Record<string, { readonly of: readonly EvaluationMetric[]; readonly higherIsBetter: boolean }>

export type DerivedMetric = keyof typeof derivedMetrics
export const DerivedMetric = z.enum(Object.keys(derivedMetrics) as [DerivedMetric, ...DerivedMetric[]])

/**
 * What the sums of an evaluation come to. A value is missing where no evaluator sent its sums, and null where what they sent
 * has none, as an accuracy of no examples; none is NaN.
 */
export const DerivedMetrics = z.partialRecord(DerivedMetric, z.number().nullable())
export type DerivedMetrics = z.infer<typeof DerivedMetrics>

/** Whether an evaluation under this loss that is asked for these metrics (absent: all that fit) can come to the value. */
export const canDerive = (
  metric: DerivedMetric,
  { loss, metrics = metricsOfLoss[loss] }: { loss: Loss; metrics?: readonly EvaluationMetric[] | undefined },
): boolean => {
  const { of }: { readonly of: readonly EvaluationMetric[] } = derivedMetrics[metric]
  const always: readonly EvaluationMetric[] = ['loss', 'accuracy', 'mae']
  return of.some(each => metricsOfLoss[loss].includes(each) && (always.includes(each) || metrics.includes(each)))
}
