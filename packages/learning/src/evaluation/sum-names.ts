import { scoreBins } from './score-histogram.ts'
import { mostConfusedClasses, mostCountedClasses } from './sums.ts'

const plain: ReadonlySet<string> = new Set(
  [
    ['examples', 'correct', 'positions', 'top5_correct', 'error_examples', 'label_examples'],
    ['true_positive', 'false_positive', 'true_negative', 'false_negative'],
    ['loss', 'position_loss', 'absolute_error', 'squared_error', 'label', 'label_square'].flatMap(name => [
      `${name}_q20`,
      `${name}_q20_carry`,
    ]),
  ].flat(),
)

const family = /^(confusion|actual|predicted|agreed|score_positive|score_negative)_(0|[1-9]\d{0,3})(?:_(0|[1-9]\d?))?$/

/** Whether a sum is one of those that evaluations are made of: docs/evaluation.md. */
export const isEvaluationSum = (name: string): boolean => {
  if (plain.has(name)) return true
  const [, kind, index, other] = family.exec(name) ?? []
  if (kind === undefined) return false
  if (kind === 'confusion')
    return other !== undefined && Number(index) < mostConfusedClasses && Number(other) < mostConfusedClasses
  return other === undefined && Number(index) < (kind.startsWith('score_') ? scoreBins : mostCountedClasses)
}

/** How many such names there are. */
export const mostSumNames = plain.size + mostConfusedClasses ** 2 + 3 * mostCountedClasses + 2 * scoreBins
