import { emitClassLabels } from './class-labels.ts'
import type { LossContext, LossOptions, LossTerms } from './loss.ts'
import { softmaxCrossEntropy } from './softmax-cross-entropy.ts'

type Options = Extract<LossOptions, { kind: 'negative-log-likelihood' }>

/**
 * −(log-probability of the label). Together with a final LogSoftmax, which was taken off, it is softmax cross-entropy;
 * without one the output itself is the log-probabilities.
 */
export const negativeLogLikelihood = (context: LossContext, options: Options): LossTerms => {
  if (context.folded !== undefined) return softmaxCrossEntropy(context, { ...options, kind: 'softmax-cross-entropy' })
  const { emitter, output, dtype } = context
  const { label, isLabel, oneHot, mask, positions } = emitClassLabels(context, options)
  return {
    label,
    positions,
    // Not times one-hot: a class that is impossible, −∞, would make the sum no number.
    elements: emitter.emit('Where', [isLabel, output, emitter.scalar(dtype, -0)]),
    sign: -1,
    gradient: oneHot,
    gradientFactor: -1,
    ...(mask === undefined ? {} : { mask }),
  }
}
