import {
  actualCount,
  agreedCount,
  confusionCount,
  mostConfusedClasses,
  mostCountedClasses,
  predictedCount,
  topK,
  wideEntries,
} from '@tributary/learning/evaluation/sums'
import type { TensorData } from '@tributary/onnx-train/tensor'
import type { Evaluated, MetricCollector, Wanted } from './metric-collector.ts'
import { confusionOfTwo, ScoreCounts } from './score-counts.ts'
import { UnitTotal } from './unit-total.ts'

export type ClassLabels = {
  readonly classes: number
  /** Labels of one example. */
  readonly positions: number
  /** A label that does not count. */
  readonly ignored: number | undefined
  /** What a position's loss counts for at most. */
  readonly worstLoss: number
}

/** Counts of predicted classes: the first of equal scores is predicted, and a score that is no number is the lowest. */
export class ClassCollector implements MetricCollector {
  readonly needsScores: boolean
  readonly #labels: ClassLabels
  /** By label and prediction, row-major. */
  readonly #confusion: Float64Array | undefined
  readonly #counts: Record<'actual' | 'predicted' | 'agreed', Float64Array> | undefined
  readonly #scores: ScoreCounts | undefined
  readonly #withTop: boolean
  readonly #losses: UnitTotal | undefined
  #positions = 0
  #top = 0

  constructor(labels: ClassLabels, wanted: Wanted) {
    const { classes, positions } = labels
    this.#labels = labels
    const confused = classes <= mostConfusedClasses
    // Of two classes both are the same four numbers.
    const wholly = confused && (wanted('confusion') || (classes === 2 && wanted('f1')))
    this.#confusion = wholly ? new Float64Array(classes ** 2) : undefined
    const counted = !wholly && wanted('f1') && classes <= mostCountedClasses
    const count = () => new Float64Array(classes)
    this.#counts = counted ? { actual: count(), predicted: count(), agreed: count() } : undefined
    this.#scores = classes === 2 && wanted('auc') ? new ScoreCounts() : undefined
    this.#withTop = classes > topK && wanted('top-5')
    const perplexity = wanted('perplexity') || (positions > 1 && wanted('perplexity-of-sequences'))
    this.#losses = perplexity ? new UnitTotal() : undefined
    this.needsScores = wholly || counted || this.#scores !== undefined || this.#withTop
  }

  add({ scores, labels, losses, counted }: Evaluated): void {
    const { ignored, worstLoss } = this.#labels
    for (let position = 0; position < labels.length; position++) {
      const label = Number(labels[position])
      if (label === ignored) continue
      this.#positions += 1
      if (this.needsScores) this.#count(scores as Float32Array, position, label)
    }
    for (let example = 0; this.#losses !== undefined && example < losses.length; example++) {
      const positions = counted[example] ?? 0
      this.#losses.add((losses[example] ?? 0) * positions, worstLoss * positions)
    }
  }

  sums(): [string, bigint][] {
    if (!this.needsScores && this.#losses === undefined) return []
    const sums: [string, bigint][] = [['positions', BigInt(this.#positions)]]
    const put = (name: string, count: number | undefined, always = false): void => {
      if (always || (count ?? 0) > 0) sums.push([name, BigInt(count ?? 0)])
    }
    if (this.#withTop) put('top5_correct', this.#top, true)
    if (this.#losses !== undefined) sums.push(...wideEntries('position_loss_q20', this.#losses.units))
    const { classes } = this.#labels
    const confusion = this.#confusion
    if (confusion !== undefined && classes === 2) sums.push(...confusionOfTwo(confusion))
    else {
      // Zeros are left out, but for some that tell who counted nothing from who did not count.
      confusion?.forEach((count, at) => {
        const [actual, predicted] = [Math.floor(at / classes), at % classes]
        put(confusionCount(actual, predicted), count, actual === predicted)
      })
    }
    this.#counts?.actual.forEach((count, label) => {
      put(actualCount(label), count, label === 0)
      put(predictedCount(label), this.#counts?.predicted[label], label === 0)
      put(agreedCount(label), this.#counts?.agreed[label])
    })
    return [...sums, ...(this.#scores?.sums() ?? [])]
  }

  #count(scores: Float32Array, position: number, label: number): void {
    const { classes } = this.#labels
    const start = position * classes
    const predicted = highest(scores, start, classes)
    const confusion = this.#confusion
    if (confusion !== undefined) increase(confusion, label * classes + predicted)
    if (this.#counts !== undefined) {
      increase(this.#counts.actual, label)
      increase(this.#counts.predicted, predicted)
      if (label === predicted) increase(this.#counts.agreed, label)
    }
    if (this.#withTop && rankOf(scores, start, classes, label) < topK) this.#top += 1
    this.#scores?.add(label === 1, (scores[start + 1] ?? 0) - (scores[start] ?? 0))
  }
}

const increase = (counts: Float64Array, at: number): void => {
  counts[at] = (counts[at] ?? 0) + 1
}

const highest = (scores: TensorData, start: number, classes: number): number => {
  let best = 0
  let most = Number.NEGATIVE_INFINITY
  for (let at = 0; at < classes; at++) {
    const score = scores[start + at] as number
    if (score > most) {
      most = score
      best = at
    }
  }
  return best
}

/** How many classes come before one: those of higher scores, and of equal ones the earlier. */
const rankOf = (scores: TensorData, start: number, classes: number, label: number): number => {
  const own = scores[start + label] as number
  if (Number.isNaN(own)) return classes
  let before = 0
  for (let at = 0; at < classes; at++) {
    const score = scores[start + at] as number
    if (score > own || (score === own && at < label)) before += 1
  }
  return before
}
