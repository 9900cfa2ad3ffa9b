import type { LossContext, LossTerms } from './loss.ts'
import { residual } from './residual.ts'

/** |d| of every element, d = output − label; the gradient is the sign of d, and 0 where d is. */
export const meanAbsoluteError = (context: LossContext): LossTerms => {
  const { difference, ...shared } = residual(context)
  return {
    ...shared,
    elements: context.emitter.emit('Abs', [difference]),
    sign: 1,
    gradient: context.emitter.emit('Sign', [difference]),
    gradientFactor: 1,
  }
}
