import type { GradientRule } from './gradient-rule.ts'
import { reshapeLike } from './reduce-to-shape.ts'

/** Reshape, Flatten, Squeeze, Unsqueeze: the gradient in the input's shape. */
export const reshapeGradient: GradientRule = context => [
  reshapeLike(context, context.outputGradient, context.node.inputs[0] ?? ''),
]

export const identityGradient: GradientRule = ({ outputGradient }) => [outputGradient]
