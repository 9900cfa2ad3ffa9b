import type { MetricSums } from '@tributary/contracts/round'
import { evaluationResult } from '@tributary/learning/evaluation-metrics'
import { metricOf } from './metric-sums.ts'

/** What evaluators found about a version; accuracy and loss are null without examples. */
export const resultOf = (
  metrics: MetricSums,
): { readonly accuracy: number | null; readonly loss: number | null; readonly examples: number } => {
  const { accuracy, loss, examples } = evaluationResult({
    examples: metricOf(metrics, 'examples'),
    correct: metricOf(metrics, 'correct'),
    lossQ20: metricOf(metrics, 'loss_q20'),
  })
  // Evaluators of real-valued labels report no `correct`: there is no accuracy then, not one of 0.
  return { accuracy: Object.hasOwn(metrics, 'correct') ? accuracy : null, loss, examples: Number(examples) }
}
