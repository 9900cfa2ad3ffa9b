import {
  actualCount,
  agreedCount,
  countOf,
  type EvaluationSums,
  mostConfusedClasses,
  mostCountedClasses,
  predictedCount,
} from './sums.ts'

/** Of one class: positions that have it as their label, as their prediction, as both. */
export type ClassCount = { actual: number; predicted: number; agreed: number }

const confusionName = /^confusion_(\d{1,2})_(\d{1,2})$/

/** Counts by class out of whatever devices sent: confusion counts, counts by class, the four of two classes. */
export const classCounts = (sums: EvaluationSums): ReadonlyMap<number, ClassCount> => {
  const counts = new Map<number, ClassCount>()
  const of = (label: number): ClassCount => {
    const known = counts.get(label)
    if (known !== undefined) return known
    const made = { actual: 0, predicted: 0, agreed: 0 }
    counts.set(label, made)
    return made
  }
  const add = (actual: number, predicted: number, value: bigint): void => {
    if (value === 0n) return
    of(actual).actual += Number(value)
    of(predicted).predicted += Number(value)
    if (actual === predicted) of(actual).agreed += Number(value)
  }
  add(0, 0, countOf(sums, 'true_negative'))
  add(0, 1, countOf(sums, 'false_positive'))
  add(1, 0, countOf(sums, 'false_negative'))
  add(1, 1, countOf(sums, 'true_positive'))
  for (const name of Object.keys(sums)) {
    const [, actual, predicted] = confusionName.exec(name) ?? []
    if (actual !== undefined && Math.max(Number(actual), Number(predicted)) < mostConfusedClasses)
      add(Number(actual), Number(predicted), countOf(sums, name))
  }
  for (let label = 0; label < mostCountedClasses; label++) {
    const [actual, predicted] = [countOf(sums, actualCount(label)), countOf(sums, predictedCount(label))]
    if (actual === 0n && predicted === 0n) continue
    of(label).actual += Number(actual)
    of(label).predicted += Number(predicted)
    of(label).agreed += Number(countOf(sums, agreedCount(label)))
  }
  // In the order of classes, so that means of them round alike wherever the counts are from.
  return new Map([...counts].sort(([a], [b]) => a - b))
}

/**
 * Means over the classes that are a label or a prediction somewhere; a share of nothing is 0, as scikit-learn has it
 * (`zero_division=0`). Weighted: by the number of labels. Micro precision, recall and F1 are one number where each position has one class.
 */
export const classMeans = (counts: ReadonlyMap<number, ClassCount>) => {
  const classes = [...counts.values()]
  const sum = (of: (count: ClassCount) => number): number => classes.reduce((total, count) => total + of(count), 0)
  const positions = sum(({ actual }) => actual)
  const mean = (of: (count: ClassCount) => number): number | null => (positions === 0 ? null : sum(of) / classes.length)
  const weighted = (of: (count: ClassCount) => number): number | null =>
    positions === 0 ? null : sum(count => count.actual * of(count)) / positions
  const present = classes.filter(({ actual }) => actual > 0).length
  return {
    balancedAccuracy: positions === 0 ? null : sum(recallOf) / present,
    precisionMacro: mean(precisionOf),
    recallMacro: mean(recallOf),
    f1Macro: mean(f1Of),
    precisionWeighted: weighted(precisionOf),
    recallWeighted: weighted(recallOf),
    f1Weighted: weighted(f1Of),
    f1Micro: positions === 0 ? null : sum(({ agreed }) => agreed) / positions,
  }
}

export const precisionOf = ({ agreed, predicted }: ClassCount): number => (predicted === 0 ? 0 : agreed / predicted)
export const recallOf = ({ agreed, actual }: ClassCount): number => (actual === 0 ? 0 : agreed / actual)
export const f1Of = ({ agreed, actual, predicted }: ClassCount): number =>
  actual + predicted === 0 ? 0 : (2 * agreed) / (actual + predicted)
