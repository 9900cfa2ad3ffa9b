import { intAttribute } from '../graph.ts'
import { fixedSize } from './constant-operand.ts'
import { floatOf, type GradientRule } from './gradient-rule.ts'

/** Concat: the gradient is split into the operands' parts. */
export const concatGradient: GradientRule = context => {
  const { node, emitter, outputGradient } = context
  const axis = intAttribute(node, 'axis', 0)
  if (node.inputs.length === 1) return [outputGradient]
  const sizes = node.inputs.map(name => fixedSize(context, name, axis))
  const parts = node.inputs.map(() => emitter.fresh('Split.out'))
  emitter.define(parts, 'Split', [outputGradient, emitter.int64s(sizes)], { axis })
  return parts
}

/**
 * Split: the parts' gradients side by side, zeros for parts that the loss does not depend on. Sizes of parts of the batch
 * would be guesses.
 */
export const splitGradient: GradientRule = context => {
  const { node, emitter, outputGradients } = context
  const axis = intAttribute(node, 'axis', 0)
  fixedSize(context, node.inputs[0] ?? '', axis)
  const zero = emitter.scalar(floatOf(context), 0)
  const parts = node.outputs.map(
    (name, index) => outputGradients[index] ?? emitter.call('Expand', zero, emitter.call('Shape', name)),
  )
  return [parts.length === 1 ? parts[0] : emitter.emit('Concat', parts, { axis })]
}
