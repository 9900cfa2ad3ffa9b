import type { IntegerMetrics } from '../../state/kept-update.ts'

/**
 * What an update tells of its training. Losses in units of 2^-20, kept inside int64.
 * @param meanLoss null where the code that trained does not tell: then its examples do not count in the mean of others
 */
export const trainingMetrics = (examples: number, meanLoss: number | null, steps: number): IntegerMetrics => {
  const trained = { name: 'steps', value: String(steps) }
  if (meanLoss === null) return [trained]
  const loss = Math.min(Math.max(Math.round(meanLoss * examples * 2 ** 20), -(2 ** 62)), 2 ** 62)
  return [{ name: 'examples', value: String(examples) }, { name: 'loss_q20', value: String(BigInt(loss)) }, trained]
}
