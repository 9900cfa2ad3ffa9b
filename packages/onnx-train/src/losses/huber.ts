import type { LossContext, LossOptions, LossTerms } from './loss.ts'
import { residual } from './residual.ts'

type Options = Extract<LossOptions, { kind: 'huber' }>

/** With c = d clipped to ±δ the loss is c·(d − c/2), on both branches, and its gradient is c. Huber 1964 */
export const huber = (context: LossContext, { delta = 1 }: Options): LossTerms => {
  const { emitter, dtype } = context
  const { difference, ...shared } = residual(context)
  const clipped = emitter.emit('Clip', [difference, emitter.scalar(dtype, -delta), emitter.scalar(dtype, delta)])
  const half = emitter.emit('Mul', [clipped, emitter.scalar(dtype, 0.5)])
  return {
    ...shared,
    elements: emitter.emit('Mul', [clipped, emitter.emit('Sub', [difference, half])]),
    sign: 1,
    gradient: clipped,
    gradientFactor: 1,
  }
}
