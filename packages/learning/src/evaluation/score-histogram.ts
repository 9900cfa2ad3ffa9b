import { countOf, type EvaluationSums } from './sums.ts'

/**
 * Scores of positives and negatives fall into bins of equal width over σ(z/2), z the logit of the positive class: half the logit,
 * so that the bins at both ends still tell the scores of rare classes apart (p from 1.5e-5).
 */
export const scoreBins = 256

export const scoreCount = (positive: boolean, bin: number): string =>
  `score_${positive ? 'positive' : 'negative'}_${bin}`

/** The bin of a logit; one that is not a number is in the lowest. */
export const scoreBin = (logit: number): number =>
  Number.isNaN(logit) ? 0 : Math.min(Math.floor(scoreBins / (1 + Math.exp(-logit / 2))), scoreBins - 1)

export type AreaUnderCurve = {
  /** As if the scores of each bin were equal. */
  readonly auc: number
  /** The area of the scores themselves lies between these two: the pairs that share a bin may all be wrong, or all right. */
  readonly low: number
  readonly high: number
}

/**
 * Area under the ROC curve, P(score of a positive > score of a negative) + ½ P(equal) (Hanley & McNeil 1982), from histograms.
 * @returns null without positives or without negatives
 */
export const areaUnderCurve = (sums: EvaluationSums): AreaUnderCurve | null => {
  let [below, right, shared, positives] = [0n, 0n, 0n, 0n]
  for (let bin = 0; bin < scoreBins; bin++) {
    const [positive, negative] = [countOf(sums, scoreCount(true, bin)), countOf(sums, scoreCount(false, bin))]
    right += positive * below
    shared += positive * negative
    positives += positive
    below += negative
  }
  const pairs = Number(positives * below)
  if (pairs === 0) return null
  const share = (halves: bigint): number => Number(halves) / pairs / 2
  return { auc: share(2n * right + shared), low: share(2n * right), high: share(2n * (right + shared)) }
}
