import type { CarriedState, Optimiser } from './optimiser.ts'
import { emitWholeGradient } from './whole-gradient.ts'

/**
 * v ← μ·v + g, W ← W − η·v; with Nesterov's look-ahead W ← W − η·(g + μ·v). As torch.optim.SGD without dampening: η is
 * outside v, so that it may change from run to run. Sutskever et al. 2013
 */
export const momentum = (coefficient: number, nesterov: boolean): Optimiser => ({
  gradientFactor: 1,
  emitUpdates(context, trained) {
    const { emitter, dtype, learningRate } = context
    const mu = emitter.scalar(dtype, coefficient)
    return trained.map((tensor): CarriedState => {
      const { name, shape, updated } = tensor
      const gradient = emitWholeGradient(context, tensor, 1)
      const velocity = emitter.fresh(`${name}.velocity`)
      const next = emitter.emit('Add', [emitter.emit('Mul', [velocity, mu]), gradient], {}, `${velocity}.updated`)
      const direction = nesterov ? emitter.emit('Add', [gradient, emitter.emit('Mul', [next, mu])]) : next
      emitter.define([updated], 'Sub', [name, emitter.emit('Mul', [direction, learningRate])])
      return { name: velocity, parameter: name, dtype, shape, updated: next }
    })
  },
})
