import { onlyOutput } from '../graph.ts'
import { constantInts } from './constant-operand.ts'
import type { GradientContext, GradientRule } from './gradient-rule.ts'
import { reduceToShape } from './reduce-to-shape.ts'
import { unsupportedForm } from './window.ts'

/** Expand: summed over the axes along which it was repeated. */
export const expandGradient: GradientRule = context => {
  const { node, typeOf, outputGradient } = context
  const from = typeOf(onlyOutput(node)).shape
  return [reduceToShape(context, outputGradient, from, typeOf(node.inputs[0] ?? '').shape)]
}

/** Tile: each axis is parted into its repetitions, over which the gradient is summed. */
export const tileGradient: GradientRule = context => {
  const { node, emitter, typeOf, outputGradient } = context
  const [x = ''] = node.inputs
  const repeats = constantInts(context, 1, 'repeats') ?? []
  const sizes = typeOf(x).shape.map(size => (typeof size === 'number' ? size : -1))
  if (sizes.filter(size => size === -1).length > 1) {
    unsupportedForm(node, 'several sizes that vary', 'Export with only the batch dimension dynamic.')
  }
  const parted = sizes.flatMap((size, axis) => (repeats[axis] === 1 ? [size] : [repeats[axis] ?? 1, size]))
  const summed = repeatAxes(repeats)
  if (summed.length === 0) return [outputGradient]
  const parts = emitter.call('Reshape', outputGradient, emitter.int64s(parted))
  return [emitter.emit('ReduceSum', [parts, emitter.int64s(summed)], { keepdims: 0 })]
}

const repeatAxes = (repeats: readonly number[]): number[] => {
  let axis = 0
  return repeats.flatMap(count => {
    const at = axis
    axis += count === 1 ? 1 : 2
    return count === 1 ? [] : [at]
  })
}

/**
 * A gradient that has 1 along reduced axes, repeated to the shape of `value`; sizes that vary are read off the value only
 * where they were reduced.
 */
export const expandLike = (
  context: GradientContext,
  gradient: string,
  value: string,
  axes: readonly number[],
): string => {
  const { emitter, typeOf } = context
  const { shape } = typeOf(value)
  const isStatic = axes.every(axis => typeof shape[axis] === 'number')
  const target = shape.map((size, axis) => (axes.includes(axis) && typeof size === 'number' ? size : 1))
  return emitter.call('Expand', gradient, isStatic ? emitter.int64s(target) : emitter.call('Shape', value))
}
