import { OnnxModelError } from '../onnx-model-error.ts'
import { type Size, sameSize } from '../values.ts'
import type { GradientContext } from './gradient-rule.ts'

/** Sums a gradient over the axes along which an operand was broadcast, so that it has the operand's shape. */
export const reduceToShape = (
  { emitter, node }: Pick<GradientContext, 'emitter' | 'node'>,
  gradient: string,
  from: readonly Size[],
  to: readonly Size[],
): string => {
  const added = from.length - to.length
  const inner = to.flatMap((size, axis) => (size === 1 && !sameSize(from[axis + added], 1) ? [axis + added] : []))
  const leading = Array.from({ length: added }, (_, axis) => axis)
  const axes = [...leading, ...inner]
  if (axes.length === 0) return gradient
  const keepdims = inner.length > 0 ? 1 : 0
  const sum = emitter.emit('ReduceSum', [gradient, emitter.int64s(axes)], { keepdims })
  if (keepdims === 0 || added === 0) return sum
  return emitter.emit('Reshape', [sum, emitter.int64s(reshapeTarget(node.op, to))])
}

/** A shape as Reshape takes it: at most one size, the one that follows the batch, is left to it. */
export const reshapeTarget = (op: string, shape: readonly Size[]): number[] => {
  const target = shape.map(size => (typeof size === 'number' ? size : -1))
  if (target.filter(size => size === -1).length <= 1 && !target.includes(0)) return target
  throw new OnnxModelError(
    'OPERATOR_FORM_UNSUPPORTED',
    `${op} has an operand of which more than one size is unknown`,
    'Export the model with only the batch dimension dynamic.',
  )
}
