import { onlyOutput } from '../graph.ts'
import { rowCount } from '../static-shape.ts'
import { type Size, sameSize } from '../values.ts'
import type { GradientContext } from './gradient-rule.ts'
import { sumOfRows } from './sum-of-rows.ts'

/** Sums a gradient over the axes along which an operand was broadcast, so that it has the operand's shape. */
export const reduceToShape = (
  context: GradientContext,
  gradient: string,
  from: readonly Size[],
  to: readonly Size[],
): string => {
  const { emitter } = context
  const added = from.length - to.length
  const inner = to.flatMap((size, axis) => (size === 1 && !sameSize(from[axis + added], 1) ? [axis] : []))
  const leading = Array.from({ length: added }, (_, axis) => axis)
  const axes = [...leading, ...inner.map(axis => axis + added)]
  if (axes.length === 0) return gradient
  const rows = rowCount(from)
  if (typeof rows === 'object' && rows.perExample > 1 && to.length === 1 && sameSize(to[0], from.at(-1))) {
    const matrix = added === 1 ? gradient : emitter.call('Reshape', gradient, emitter.int64s([-1, Number(to[0])]))
    return sumOfRows(context, matrix, rows)
  }
  const keepdims = added === 0 ? 1 : 0
  const sum = emitter.emit('ReduceSum', [gradient, emitter.int64s(axes)], { keepdims })
  return keepdims === 1 || inner.length === 0 ? sum : emitter.emit('Unsqueeze', [sum, emitter.int64s(inner)])
}

/** The gradient of one operand of an elementwise operator, from a gradient of the shape of its result. */
export const toOperand = (context: GradientContext, gradient: string, index: number): string => {
  const { node, typeOf } = context
  return reduceToShape(context, gradient, typeOf(onlyOutput(node)).shape, typeOf(node.inputs[index] ?? '').shape)
}

/** A gradient in the shape of `value`, of which it has the number of elements. */
export const reshapeLike = ({ emitter, typeOf }: GradientContext, gradient: string, value: string): string => {
  const target = typeOf(value).shape.map(size => (typeof size === 'number' ? size : -1))
  // Reshape leaves one size to be found; more of them are read off the value when it runs.
  const isStatic = target.filter(size => size === -1).length <= 1 && !target.includes(0)
  return emitter.call('Reshape', gradient, isStatic ? emitter.int64s(target) : emitter.call('Shape', value))
}
