import { intAttribute } from '../graph.ts'
import type { GradientRule } from './gradient-rule.ts'

/** CumSum the other way round. */
export const cumSumGradient: GradientRule = ({ node, emitter, outputGradient }) => [
  emitter.emit('CumSum', [outputGradient, node.inputs[1] ?? ''], {
    exclusive: intAttribute(node, 'exclusive', 0),
    reverse: 1 - intAttribute(node, 'reverse', 0),
  }),
]

/** Trilu: the same triangle of the gradient. */
export const triluGradient: GradientRule = ({ node, emitter, outputGradient }) => [
  emitter.emit('Trilu', [outputGradient, ...node.inputs.slice(1)], { upper: intAttribute(node, 'upper', 1) }),
]
