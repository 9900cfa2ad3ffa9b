import { UNIT } from '@tributary/learning/evaluation/sums'
import type { EvaluationFindings } from '../../state/outbox.ts'
import type { EvaluationResult } from '../../training/trainer.ts'

/** Beyond what an int64 metric holds. */
const tooMuch = 2 ** 63

/** What one evaluation found, as integers. A loss that is not finite makes it count as none: n = 0. */
export const findingsOf = ({ examples, correct, lossSum, sums, seconds }: EvaluationResult): EvaluationFindings => {
  const loss = Math.round(lossSum * UNIT)
  const finite = Math.abs(loss) < tooMuch
  const own = {
    ...(correct === null ? {} : { correct: `${finite ? correct : 0}` }),
    loss_q20: finite ? `${BigInt(loss)}` : '0',
  }
  // Sums may be of the owner's code: what is told apart from them stands.
  const { examples: _, ...others } = finite ? sums : {}
  return { examples: finite ? BigInt(examples) : 0n, sums: { ...own, ...others, ...own }, seconds }
}
