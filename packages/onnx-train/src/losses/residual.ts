import { exampleSizes } from './expect-output.ts'
import type { LossContext, LossTerms } from './loss.ts'

/** What losses of the difference output − label share: real labels in the shape of the output. */
export const residual = (context: LossContext): { difference: string } & Pick<LossTerms, 'label' | 'positions'> => {
  const sizes = exampleSizes(context.shape)
  return {
    difference: context.emitter.emit('Sub', [context.output, context.labels]),
    label: { kind: 'real', dtype: context.dtype, shape: sizes },
    positions: sizes.reduce((product, size) => product * size, 1),
  }
}
