import { emitClassLabels } from './class-labels.ts'
import type { LossContext, LossOptions, LossTerms } from './loss.ts'

type Options = Extract<LossOptions, { kind: 'softmax-cross-entropy' }>

/**
 * −Σ target·log softmax(z), target = (1 − ε)·one-hot + ε/classes. Its gradient is softmax(z) − target, whatever the
 * smoothing, since the target sums to one. Szegedy et al. 2016, section 7
 */
export const softmaxCrossEntropy = (context: LossContext, options: Options): LossTerms => {
  const { emitter, dtype, output } = context
  const { axis, label, isLabel, oneHot, mask, positions } = emitClassLabels(context, options)
  const { labelSmoothing = 0 } = options
  const target =
    labelSmoothing === 0
      ? oneHot
      : emitter.emit('Add', [
          emitter.emit('Mul', [oneHot, emitter.scalar(dtype, 1 - labelSmoothing)]),
          emitter.scalar(dtype, labelSmoothing / label.classes),
        ])
  const logProbabilities = emitter.emit('LogSoftmax', [output], { axis })
  const probabilities = emitter.emit('Exp', [logProbabilities])
  return {
    label,
    positions,
    // Not times one-hot: a class that is impossible, −∞, would make the sum no number.
    elements:
      labelSmoothing === 0
        ? emitter.emit('Where', [isLabel, logProbabilities, emitter.scalar(dtype, -0)])
        : emitter.emit('Mul', [logProbabilities, target]),
    sign: -1,
    gradient: emitter.emit('Sub', [probabilities, target]),
    gradientFactor: 1,
    ...(mask === undefined ? {} : { mask }),
  }
}
