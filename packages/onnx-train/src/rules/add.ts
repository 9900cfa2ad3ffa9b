import { onlyOutput } from '../graph.ts'
import type { GradientRule } from './gradient-rule.ts'
import { reduceToShape } from './reduce-to-shape.ts'

/** Y = A + B with broadcasting: each operand gets dY, summed over the axes along which it was repeated. */
export const addGradient: GradientRule = context => {
  const { node, typeOf, wants, outputGradient } = context
  const from = typeOf(onlyOutput(node)).shape
  return node.inputs.map((name, index) =>
    wants(index) ? reduceToShape(context, outputGradient, from, typeOf(name).shape) : undefined,
  )
}
