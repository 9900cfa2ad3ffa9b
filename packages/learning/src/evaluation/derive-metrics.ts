import { type ClassCount, classCounts, classMeans, f1Of, precisionOf, recallOf } from './class-counts.ts'
import { areaUnderCurve, scoreBins, scoreCount } from './score-histogram.ts'
import { type EvaluationSums, sumOf, UNIT, wideSum } from './sums.ts'

const means = ['precision', 'recall', 'f1'] as const

/** By name; `DerivedMetrics` of the contracts says what each is. */
export type Derived = {
  loss: number | null
  accuracy?: number | null
  top5Accuracy?: number | null
  auc?: number | null
  aucLow?: number | null
  aucHigh?: number | null
  perplexity?: number | null
  mae?: number | null
  rmse?: number | null
  r2?: number | null
} & Partial<ReturnType<typeof classMeans>> &
  Partial<Record<(typeof means)[number], number | null>>

const binary = ['true_positive', 'false_positive', 'true_negative', 'false_negative']
const countsOfClasses = /^(?:confusion_\d+_\d+|(?:actual|predicted)_\d+)$/

/**
 * What sums come to: loss always, others where an evaluator sent their sums. Null without examples to speak of (positives and negatives for
 * the area under the curve, labels that differ for R²); never NaN or infinite.
 */
export const deriveMetrics = (sums: EvaluationSums): Derived => {
  const examples = sumOf(sums, 'examples')
  const positions = sumOf(sums, 'positions')
  const has = (name: string): boolean => Object.hasOwn(sums, name)
  return {
    loss: ratio(sumOf(sums, 'loss_q20'), examples, UNIT),
    // Evaluators of real-valued labels report no `correct`: there is no accuracy then, not one of 0.
    ...(has('correct') && { accuracy: ratio(sumOf(sums, 'correct'), examples) }),
    ...(has('top5_correct') && { top5Accuracy: ratio(sumOf(sums, 'top5_correct'), positions) }),
    ...ofCounts(sums),
    ...ofScores(sums),
    ...(has('position_loss_q20') && { perplexity: perplexity(wideSum(sums, 'position_loss_q20'), positions) }),
    ...(has('absolute_error_q20') && { mae: ratio(wideSum(sums, 'absolute_error_q20'), examples, UNIT) }),
    ...(has('squared_error_q20') && {
      rmse: root(ratio(wideSum(sums, 'squared_error_q20'), sumOf(sums, 'error_examples'), UNIT)),
    }),
    ...(has('label_square_q20') && { r2: determination(sums) }),
  }
}

const ofCounts = (sums: EvaluationSums): Partial<Derived> => {
  const ofTwo = binary.some(name => Object.hasOwn(sums, name))
  if (!ofTwo && !Object.keys(sums).some(name => countsOfClasses.test(name))) return {}
  const counts = classCounts(sums)
  const positive: ClassCount = counts.get(1) ?? { actual: 0, predicted: 0, agreed: 0 }
  const ofPositive = (of: (count: ClassCount) => number): number | null => (counts.size === 0 ? null : of(positive))
  return {
    ...classMeans(counts),
    ...(ofTwo && {
      precision: ofPositive(precisionOf),
      recall: ofPositive(recallOf),
      f1: ofPositive(f1Of),
    }),
  }
}

const ofScores = (sums: EvaluationSums): Partial<Derived> => {
  const bins = Array.from({ length: scoreBins }, (_, bin) => bin)
  if (!bins.some(bin => Object.hasOwn(sums, scoreCount(true, bin)) || Object.hasOwn(sums, scoreCount(false, bin))))
    return {}
  const { auc, low, high } = areaUnderCurve(sums) ?? { auc: null, low: null, high: null }
  return { auc, aucLow: low, aucHigh: high }
}

const perplexity = (loss: bigint, positions: bigint): number | null => {
  const mean = ratio(loss, positions, UNIT)
  return mean === null ? null : Math.min(Math.exp(mean), Number.MAX_VALUE)
}

/**
 * R² = 1 − Σ(y − ŷ)² / Σ(y − ȳ)², whose denominator is Σy² − (Σy)²/n, here in integers, where nothing cancels out. Null unless all
 * who told their errors told their labels.
 */
const determination = (sums: EvaluationSums): number | null => {
  const n = sumOf(sums, 'label_examples')
  if (n !== sumOf(sums, 'error_examples')) return null
  const total = wideSum(sums, 'label_q20')
  const spread = n * wideSum(sums, 'label_square_q20') * BigInt(UNIT) - total * total
  if (spread <= 0n) return null
  return 1 - Number(n * wideSum(sums, 'squared_error_q20') * BigInt(UNIT)) / Number(spread)
}

const ratio = (sum: bigint, of: bigint, unit = 1): number | null => (of <= 0n ? null : Number(sum) / unit / Number(of))

const root = (square: number | null): number | null => (square === null ? null : Math.sqrt(Math.max(square, 0)))
