import { TributaryError } from '@tributary/contracts/errors'
import type { SumRule } from '@tributary/contracts/round'
import type { CreateTask } from '@tributary/contracts/tasks'
import { boundFor, sumExponent } from '@tributary/learning/exact-sum/exponent'
import { SumError } from '@tributary/learning/exact-sum/sum-error'
import { largestWeight } from '@tributary/learning/exact-sum/sum-rule'
import {
  statisticsBound,
  statisticsRestBound,
  statisticsWeightCap,
} from '@tributary/learning/statistics/feature-statistics'

/** How a rule of `aggregation.rule` weights an update. */
const weightings = new Map<string, SumRule['weighting']>([
  ['weighted-mean', 'examples'],
  ['mean', 'uniform'],
])

/** Rules that need every update in one place (DESIGN section 7). */
const rulesOverUpdates: ReadonlySet<string> = new Set(['median', 'trimmed-mean', 'krum', 'multi-krum'])

/**
 * What fixes the exponent of an attempt's exact sum.
 * @param maxUpdates N over all regions
 * @throws TributaryError RULE_UNKNOWN, RULE_NOT_DECOMPOSABLE, SUM_WOULD_OVERFLOW
 */
export const sumRuleOf = (
  { aggregation, trainer }: Pick<CreateTask, 'aggregation'> & Partial<Pick<CreateTask, 'trainer'>>,
  maxUpdates: number,
): SumRule => {
  const isStatistics = trainer?.framework === 'statistics'
  if (aggregation.regionalRounds > 1) {
    const detail = `aggregation.regionalRounds is ${aggregation.regionalRounds}; the exact sum takes updates of one round`
    throw new TributaryError('RULE_NOT_DECOMPOSABLE', { detail })
  }
  const weighting = weightings.get(aggregation.rule)
  if (weighting === undefined) {
    const code = rulesOverUpdates.has(aggregation.rule) ? 'RULE_NOT_DECOMPOSABLE' : 'RULE_UNKNOWN'
    throw new TributaryError(code, {
      detail: `aggregation.rule is ${JSON.stringify(aggregation.rule)}; known: ${[...weightings.keys()].join(', ')}`,
    })
  }
  try {
    const rule: SumRule = {
      weighting,
      weightCap: isStatistics ? statisticsWeightCap : aggregation.weightCap,
      maxUpdates,
      bound: isStatistics ? statisticsBound : boundFor(aggregation.clippingNorm),
      // The clipping norm leaves running statistics alone (DESIGN section 7).
      bufferBound: isStatistics ? statisticsRestBound : boundFor(null),
      clippingNorm: aggregation.clippingNorm,
    }
    const weightCap = largestWeight(rule)
    for (const bound of [rule.bound, rule.bufferBound]) sumExponent({ bound, weightCap, maxUpdates })
    return rule
  } catch (error) {
    if (error instanceof SumError)
      throw new TributaryError('SUM_WOULD_OVERFLOW', { detail: error.message, cause: error })
    throw error
  }
}
