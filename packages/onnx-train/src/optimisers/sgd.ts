import type { Optimiser } from './optimiser.ts'
import { emitWholeGradient } from './whole-gradient.ts'

/**
 * Plain SGD, W ← W − η·g. The factor −η is multiplied into the small loss seed once, so that every gradient of the
 * graph already is the step and no pass over the weights is spent on scaling. Terms that are affine in W move into what
 * the step is added to: W·(1 − ηλ) − η·drift, of which the last is the same in every step.
 */
export const sgd: Optimiser = {
  gradientFactor: 'minus-learning-rate',
  emitUpdates({ emitter, dtype, learningRate }, trained) {
    for (const { name, gradient, affine, updated } of trained) {
      let base = name
      if (affine.decay !== 0) {
        const decay = emitter.emit('Mul', [learningRate, emitter.scalar(dtype, affine.decay)])
        base = emitter.emit('Mul', [base, emitter.emit('Sub', [emitter.scalar(dtype, 1), decay])])
      }
      if (affine.drift !== undefined) {
        base = emitter.emit('Sub', [base, emitter.emit('Mul', [affine.drift, learningRate])])
      }
      emitter.define([updated], 'Add', [base, gradient])
    }
    return []
  },
}

/** SGD over clipped gradients: the clipping factor is known only when all gradients are, so nothing is folded. */
export const clippedSgd: Optimiser = {
  gradientFactor: 1,
  emitUpdates(context, trained) {
    const { emitter, learningRate } = context
    for (const tensor of trained) {
      const step = emitter.emit('Mul', [emitWholeGradient(context, tensor, 1), learningRate])
      emitter.define([tensor.updated], 'Sub', [tensor.name, step])
    }
    return []
  },
}
