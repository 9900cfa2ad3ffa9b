import type { MetricSums } from '@tributary/contracts/round'

/** Examples of one evaluator: thousands of such still add up below 2^53. */
const mostExamples = 2n ** 40n
/** Mean loss of an example, in units of 2^-20: far beyond what a useful model has. */
const mostLossQ20 = 2n ** (30n + 20n)

/** What no evaluation can have found, or null: added up, one such report would spoil those of all others. */
export const metricsFault = ({ examples = '0', correct = '0', loss_q20 = '0' }: MetricSums): string | null => {
  const [total, right, loss] = [BigInt(examples), BigInt(correct), BigInt(loss_q20)]
  if (total > mostExamples) return `${total} examples are more than one evaluator can have`
  if (right < 0n || right > total) return `${right} correct of ${total} examples is impossible`
  const most = total * mostLossQ20
  return loss > most || loss < -most ? `a loss of ${loss} units over ${total} examples is beyond all bounds` : null
}
