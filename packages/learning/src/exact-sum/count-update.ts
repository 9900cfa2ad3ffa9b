import { SumError } from './sum-error.ts'
import { largestWeight, type SumRule } from './sum-rule.ts'

/**
 * Totals with one more update.
 * @throws SumError SUM_WOULD_OVERFLOW when the update or its weight is beyond what the exponent allows for
 */
export function countUpdate(
  { updates, weight: total }: { readonly updates: number; readonly weight: bigint },
  weight: number,
  rule: SumRule,
): { readonly updates: number; readonly weight: bigint } {
  if (!Number.isInteger(weight) || weight < 1 || weight > largestWeight(rule)) {
    throw new SumError('SUM_WOULD_OVERFLOW', `weight ${weight}: must be an integer from 1 to ${largestWeight(rule)}`)
  }
  if (updates >= rule.maxUpdates) {
    throw new SumError('SUM_WOULD_OVERFLOW', `the attempt may accept ${rule.maxUpdates} updates, no more`)
  }
  return { updates: updates + 1, weight: total + BigInt(weight) }
}
