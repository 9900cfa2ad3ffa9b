import {
  defaultMetrics,
  EvaluationMetric,
  metricsOfLabels,
  metricsOfLoss,
} from '@tributary/contracts/evaluation-metrics'
import type { TrainerSettings } from '@tributary/contracts/round'

/**
 * What is to be found in an evaluation, of what the node asks for: metrics that this agent knows and whose sums may leave. By default all that
 * fit the loss, and perplexity only of sequences, since of one position it tells what the loss tells.
 * @param labelsMayLeave whether the owner lets out how often which label occurs
 */
export const askedMetrics = (
  asked: readonly string[],
  loss: TrainerSettings['loss'],
  labelsMayLeave: boolean,
): readonly string[] => {
  const fitting = metricsOfLoss[loss]
  const wanted = asked.includes(defaultMetrics)
    ? fitting
    : EvaluationMetric.options.filter(each => asked.includes(each))
  return wanted
    .filter(metric => fitting.includes(metric) && (labelsMayLeave || !metricsOfLabels.has(metric)))
    .map(metric => (metric === 'perplexity' && !asked.includes(metric) ? 'perplexity-of-sequences' : metric))
}
