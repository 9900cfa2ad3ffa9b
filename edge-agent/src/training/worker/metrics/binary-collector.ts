import type { Evaluated, MetricCollector, Wanted } from './metric-collector.ts'
import { confusionOfTwo, ScoreCounts } from './score-counts.ts'

/** Truths and logits: a label above ½ is a positive, and so is what has a logit above 0. */
export class BinaryCollector implements MetricCollector {
  readonly needsScores: boolean
  readonly #confusion: Float64Array | undefined
  readonly #scores: ScoreCounts | undefined
  #positions = 0

  constructor(wanted: Wanted) {
    this.#confusion = wanted('confusion') || wanted('f1') ? new Float64Array(4) : undefined
    this.#scores = wanted('auc') ? new ScoreCounts() : undefined
    this.needsScores = this.#confusion !== undefined || this.#scores !== undefined
  }

  add({ scores, labels }: Evaluated): void {
    this.#positions += labels.length
    for (let at = 0; at < scores.length; at++) {
      const logit = scores[at] as number
      const positive = Number(labels[at]) > 0.5
      const cell = (positive ? 2 : 0) + (logit > 0 ? 1 : 0)
      if (this.#confusion !== undefined) this.#confusion[cell] = (this.#confusion[cell] ?? 0) + 1
      this.#scores?.add(positive, logit)
    }
  }

  sums(): [string, bigint][] {
    if (!this.needsScores) return []
    return [
      ['positions', BigInt(this.#positions)],
      ...(this.#confusion === undefined ? [] : confusionOfTwo(this.#confusion)),
      ...(this.#scores?.sums() ?? []),
    ]
  }
}
