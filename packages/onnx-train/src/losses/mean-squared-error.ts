import type { LossContext, LossTerms } from './loss.ts'
import { residual } from './residual.ts'

/** d² of every element, d = output − label; the gradient is 2d. */
export const meanSquaredError = (context: LossContext): LossTerms => {
  const { difference, ...shared } = residual(context)
  return {
    ...shared,
    elements: context.emitter.emit('Mul', [difference, difference]),
    sign: 1,
    gradient: difference,
    gradientFactor: 2,
  }
}
