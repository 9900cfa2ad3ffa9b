import type { GradientRule } from './gradient-rule.ts'
import { reshapeTarget } from './reduce-to-shape.ts'

/** Reshape, Flatten, Squeeze, Unsqueeze: the gradient in the input's shape. */
export const reshapeGradient: GradientRule = ({ node, emitter, outputGradient, typeOf }) => {
  const target = reshapeTarget(node.op, typeOf(node.inputs[0] ?? '').shape)
  return [emitter.emit('Reshape', [outputGradient, emitter.int64s(target)])]
}

export const identityGradient: GradientRule = ({ outputGradient }) => [outputGradient]
