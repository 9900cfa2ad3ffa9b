import { largestWeight, type SumRule } from '../exact-sum/sum-rule.ts'
import { InvalidUpdateError } from './invalid-update-error.ts'

/**
 * The integer weight of an update: its examples up to the cap, or 1 where all count the same. 0 for an update without
 * examples, which is listed as empty and not added.
 * @throws InvalidUpdateError EXAMPLES_INVALID when the count is not a non-negative safe integer
 */
export function updateWeight(examples: number, rule: SumRule): number {
  if (!Number.isSafeInteger(examples) || examples < 0) {
    throw new InvalidUpdateError('EXAMPLES_INVALID', `${examples} examples: must be a non-negative integer`)
  }
  return Math.min(examples, largestWeight(rule))
}
