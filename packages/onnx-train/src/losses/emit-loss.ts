import { OnnxModelError } from '../onnx-model-error.ts'
import { huber } from './huber.ts'
import type { LossContext, LossOptions, LossTerms } from './loss.ts'
import { meanAbsoluteError } from './mean-absolute-error.ts'
import { meanSquaredError } from './mean-squared-error.ts'
import { negativeLogLikelihood } from './negative-log-likelihood.ts'
import { sigmoidBinaryCrossEntropy } from './sigmoid-binary-cross-entropy.ts'
import { softmaxCrossEntropy } from './softmax-cross-entropy.ts'

/** Emits the parts of a loss. Throws OPTIONS_INVALID, OUTPUTS_UNSUPPORTED. */
export const emitLoss = (context: LossContext, options: LossOptions): LossTerms => {
  checkLoss(options)
  switch (options.kind) {
    case 'softmax-cross-entropy':
      return softmaxCrossEntropy(context, options)
    case 'negative-log-likelihood':
      return negativeLogLikelihood(context, options)
    case 'sigmoid-binary-cross-entropy':
      return sigmoidBinaryCrossEntropy(context)
    case 'mean-squared-error':
      return meanSquaredError(context)
    case 'mean-absolute-error':
      return meanAbsoluteError(context)
    case 'huber':
      return huber(context, options)
  }
}

/** The activations that a loss takes off the end of a graph, since together they are stable and cheaper. */
export const foldedActivations = ({ kind }: LossOptions): readonly string[] => {
  if (kind === 'softmax-cross-entropy') return ['Softmax', 'LogSoftmax']
  if (kind === 'negative-log-likelihood') return ['LogSoftmax']
  return kind === 'sigmoid-binary-cross-entropy' ? ['Sigmoid'] : []
}

const checkLoss = (options: LossOptions): void => {
  if (options.kind === 'softmax-cross-entropy') {
    const { labelSmoothing = 0 } = options
    if (!(labelSmoothing >= 0 && labelSmoothing < 1)) {
      invalid(`The label smoothing is ${labelSmoothing}`, 'Use a number from 0 to below 1.')
    }
  }
  if (
    'ignoreIndex' in options &&
    options.ignoreIndex !== undefined &&
    (options.ignoreIndex | 0) !== options.ignoreIndex
  ) {
    invalid(`The ignored label is ${options.ignoreIndex}`, 'Use a 32-bit integer.')
  }
  if (options.kind === 'huber') {
    const { delta = 1 } = options
    if (!(delta > 0 && delta < Number.POSITIVE_INFINITY)) {
      invalid(`The delta of the Huber loss is ${delta}`, 'Use a positive number.')
    }
  }
}

const invalid = (problem: string, remedy: string): never => {
  throw new OnnxModelError('OPTIONS_INVALID', problem, remedy)
}
