import type { Emitter } from '../emitter.ts'

/**
 * Plain SGD, W ← W − η·g. The factor −η is multiplied into the small loss seed once, so that every gradient of the
 * graph already is the step and no pass over the weights is spent on scaling.
 */
export const sgd = {
  /** The factor of the loss seed: −η/B. */
  emitSeedScale(emitter: Emitter, learningRate: string, batchSize: string): string {
    return emitter.emit('Div', [emitter.emit('Neg', [learningRate]), batchSize])
  },
  /** The new value of a parameter, from a gradient that carries the seed's factor. */
  emitUpdate(emitter: Emitter, parameter: string, step: string): string {
    return emitter.emit('Add', [parameter, step], {}, `${parameter}.updated`)
  },
}
