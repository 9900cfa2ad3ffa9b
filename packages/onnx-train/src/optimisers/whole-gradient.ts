import type { OptimiserContext, Trained } from './optimiser.ts'

/**
 * The gradient with everything that belongs to it: clipped, then the affine terms. `factor` is what the gradient was
 * multiplied by, and what the terms are multiplied by too.
 */
export const emitWholeGradient = (context: OptimiserContext, trained: Trained, factor: number): string => {
  const { emitter, dtype, clip } = context
  const { decay, drift } = trained.affine
  const times = (value: string, by: number): string =>
    by === 1 ? value : emitter.emit('Mul', [value, emitter.scalar(dtype, by)])
  const clipped = clip === undefined ? trained.gradient : emitter.emit('Mul', [trained.gradient, clip])
  const decayed = decay === 0 ? clipped : emitter.emit('Add', [clipped, times(trained.name, decay * factor)])
  return drift === undefined ? decayed : emitter.emit('Add', [decayed, times(drift, factor)])
}
