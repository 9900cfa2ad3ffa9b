import type { AffineTerm, OptimizerOptions } from './optimiser.ts'

/** λ·W in the gradient, that of ½λ‖W‖². AdamW decays past the gradient and has no such term. Krogh and Hertz 1991 */
export const weightDecayTerm = (options: OptimizerOptions): AffineTerm => ({
  decay: options.kind === 'adamw' ? 0 : (options.weightDecay ?? 0),
})
