import type { MetricSums } from '@tributary/contracts/round'
import { classCounts } from '@tributary/learning/evaluation/class-counts'
import { isEvaluationSum } from '@tributary/learning/evaluation/sum-names'
import { sumOf, wideSum } from '@tributary/learning/evaluation/sums'

/** Examples of one evaluator: thousands of such still add up below 2^53. */
const mostExamples = 2n ** 40n
/** Mean loss of an example, in units of 2^-20: far beyond what a useful model has. */
const mostLossQ20 = 2n ** (30n + 20n)
/** Positions of an example, as tokens of a sequence. */
const mostPositions = 2n ** 24n
/** Mean of an example in the same units: 2^60 is the square of the largest error that devices tell apart. */
const mostOfExample = 2n ** (60n + 20n)

const means = ['absolute_error_q20', 'squared_error_q20', 'label_q20', 'label_square_q20'] as const
const signed = /_q20(?:_carry)?$/

/** What no evaluation can have found, or null: added up, one such report would spoil those of all others. */
export const metricsFault = (metrics: MetricSums): string | null => {
  const of = (name: string): bigint => sumOf(metrics, name)
  const [total, right, positions, top] = [of('examples'), of('correct'), of('positions'), of('top5_correct')]
  if (total > mostExamples) return `${total} examples are more than one evaluator can have`
  if (right < 0n || right > total) return `${right} correct of ${total} examples is impossible`
  for (const [name, value] of Object.entries(metrics)) {
    if (value.startsWith('-') && isEvaluationSum(name) && !signed.test(name)) return `${name} is ${value}, and a count`
  }
  if (positions > total * mostPositions) return `${positions} positions in ${total} examples are too many`
  if (top > positions) return `${top} right in the first five of ${positions} positions is impossible`
  return (
    lossFault(of('loss_q20'), total, 'examples') ??
    lossFault(wideSum(metrics, 'position_loss_q20'), positions, 'positions') ??
    countFault(metrics, positions) ??
    meanFault(metrics, total)
  )
}

const lossFault = (loss: bigint, of: bigint, what: string): string | null => {
  const most = of * mostLossQ20
  return loss > most || loss < -most ? `a loss of ${loss} units over ${of} ${what} is beyond all bounds` : null
}

const countFault = (metrics: MetricSums, positions: bigint): string | null => {
  let counted = 0
  for (const { actual, predicted, agreed } of classCounts(metrics).values()) {
    counted += actual
    if (agreed > Math.min(actual, predicted)) return `${agreed} of ${actual} positions of a class is impossible`
  }
  return counted > Number(positions) ? `${counted} counts of ${positions} positions are too many` : null
}

const meanFault = (metrics: MetricSums, total: bigint): string | null => {
  for (const name of ['error_examples', 'label_examples'])
    if (sumOf(metrics, name) > total) return `${name} is ${sumOf(metrics, name)} of ${total} examples`
  for (const name of means) {
    const sum = wideSum(metrics, name)
    const most = total * mostOfExample
    if (sum > most || sum < -most) return `${name} of ${sum} over ${total} examples is beyond all bounds`
  }
  return null
}
