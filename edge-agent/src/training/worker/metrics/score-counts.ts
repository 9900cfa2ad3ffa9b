import { scoreBin, scoreBins, scoreCount } from '@tributary/learning/evaluation/score-histogram'

/** Histograms of the scores of positives and of negatives. */
export class ScoreCounts {
  readonly #positive = new Float64Array(scoreBins)
  readonly #negative = new Float64Array(scoreBins)

  add(positive: boolean, logit: number): void {
    const counts = positive ? this.#positive : this.#negative
    const bin = scoreBin(logit)
    counts[bin] = (counts[bin] ?? 0) + 1
  }

  /** Without zeros, but for the first bin: who counted nothing says so. */
  sums(): [string, bigint][] {
    return [true, false].flatMap(positive =>
      [...(positive ? this.#positive : this.#negative)].flatMap((count, bin): [string, bigint][] =>
        count > 0 || bin === 0 ? [[scoreCount(positive, bin), BigInt(count)]] : [],
      ),
    )
  }
}

/** Counts of two classes [label, prediction], row-major, under their usual names. */
export const confusionOfTwo = (counts: Float64Array): [string, bigint][] =>
  ['true_negative', 'false_positive', 'false_negative', 'true_positive'].map((name, at): [string, bigint] => [
    name,
    BigInt(counts[at] ?? 0),
  ])
