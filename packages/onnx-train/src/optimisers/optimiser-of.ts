import { OnnxModelError } from '../onnx-model-error.ts'
import { adam } from './adam.ts'
import { adamW } from './adam-w.ts'
import { momentum } from './momentum.ts'
import type { Optimiser, OptimizerOptions } from './optimiser.ts'
import { clippedSgd, sgd } from './sgd.ts'

/** The update rule behind options. Throws OPTIONS_INVALID. */
export const optimiserOf = (options: OptimizerOptions, clipped: boolean): Optimiser => {
  check('weight decay', options.weightDecay ?? 0, 0, 1e6)
  switch (options.kind) {
    case 'sgd':
      return clipped ? clippedSgd : sgd
    case 'momentum':
    case 'nesterov':
      return momentum(check('momentum', options.momentum ?? 0.9, 0, 1), options.kind === 'nesterov')
    case 'adam':
      return adam({ ...adamSettings(options), decoupledDecay: 0 })
    case 'adamw':
      return adamW(adamSettings(options), options.weightDecay ?? 0.01)
  }
}

const adamSettings = (options: Extract<OptimizerOptions, { kind: 'adam' | 'adamw' }>) => ({
  beta1: check('beta1', options.beta1 ?? 0.9, 0, 1),
  beta2: check('beta2', options.beta2 ?? 0.999, 0, 1),
  epsilon: check('epsilon', options.epsilon ?? 1e-8, 0, 1),
})

const check = (name: string, value: number, least: number, below: number): number => {
  if (value >= least && value < below) return value
  throw new OnnxModelError(
    'OPTIONS_INVALID',
    `The ${name} is ${value}`,
    `Use a number from ${least} to below ${below}.`,
  )
}
