import { inputAt, intAttribute, intsAttribute, type Node, onlyOutput, stringAttribute } from '../graph.ts'
import type { Tensor } from '../tensor.ts'
import { sameSize } from '../values.ts'
import type { GradientContext, GradientRule } from './gradient-rule.ts'
import { unsupportedForm } from './window.ts'

/** Resize, nearest or linear: along each axis a fixed matrix of weights, whose transpose takes the gradient back. */
export const resizeGradient: GradientRule = context => {
  const { node, typeOf } = context
  const [input, output] = [typeOf(node.inputs[0] ?? '').shape, typeOf(onlyOutput(node)).shape]
  if (intAttribute(node, 'antialias', 0) === 1) unsupportedForm(node, 'antialias', 'Set antialias = 0.')
  if (stringAttribute(node, 'keep_aspect_ratio_policy', 'stretch') !== 'stretch') {
    unsupportedForm(node, 'an aspect ratio that is kept', 'Resize to sizes or by scales as they are.')
  }
  // Where no size changes the runtime copies, whatever the scales are.
  if (output.every((size, axis) => sameSize(size, input[axis]))) return [context.outputGradient]
  let gradient = context.outputGradient
  for (const [axis, to] of output.entries()) {
    const from = input[axis]
    if (typeof to !== 'number' || typeof from !== 'number') {
      // A batch that is not resized follows the batch on both sides.
      if (typeof to === 'object' && typeof from === 'object' && to.perExample === from.perExample) continue
      return unsupportedForm(node, `axis ${axis} of a size that varies`, 'Export with fixed height and width.')
    }
    const scale = scaleOf(context, axis) ?? to / from
    if (to === from && scale === 1) continue
    gradient = contractAxis(context, gradient, axis, weights(node, from, to, scale), output.length)
  }
  return [gradient]
}

/** The scale that is given for an axis; where sizes are given it follows from them. */
const scaleOf = ({ node, typeOf }: GradientContext, axis: number): number | undefined => {
  const name = inputAt(node, 2)
  if (name === undefined || inputAt(node, 3) !== undefined) return undefined
  const { constant } = typeOf(name)
  if (constant === undefined) return unsupportedForm(node, 'scales that are computed', 'Make its scales constants.')
  if (constant.data.length === 0) return undefined
  const rank = typeOf(node.inputs[0] ?? '').shape.length
  const axes = intsAttribute(node, 'axes')?.map(each => (each < 0 ? each + rank : each))
  const index = axes === undefined ? axis : axes.indexOf(axis)
  return index === -1 ? 1 : Number(constant.data[index])
}

/** value contracted along an axis with a matrix [size of the axis, new size]. */
const contractAxis = (
  { emitter }: GradientContext,
  value: string,
  axis: number,
  matrix: Tensor,
  rank: number,
): string => {
  const name = emitter.constant(matrix, 'resize_weights')
  if (axis === rank - 1) return emitter.call('MatMul', value, name)
  const perm = Array.from({ length: rank }, (_, index) => index)
  perm[axis] = rank - 1
  perm[rank - 1] = axis
  const swapped = emitter.emit('Transpose', [value], { perm })
  return emitter.emit('Transpose', [emitter.call('MatMul', swapped, name)], { perm })
}

/** Row o, column i: by how much output o is input i. */
const weights = (node: Node, from: number, to: number, scale: number): Tensor => {
  const data = new Float32Array(to * from)
  const mode = stringAttribute(node, 'mode', 'nearest')
  if (mode !== 'nearest' && mode !== 'linear') unsupportedForm(node, `mode ${mode}`, 'Resize with nearest or linear.')
  const add = (output: number, input: number, weight: number): void => {
    const clamped = Math.min(from - 1, Math.max(0, input))
    data[output * from + clamped] = (data[output * from + clamped] ?? 0) + weight
  }
  for (let output = 0; output < to; output++) {
    const position = originalPosition(node, output, from, to, scale)
    if (mode === 'nearest') {
      add(output, nearest(node, position), 1)
    } else {
      const clamped = Math.min(from - 1, Math.max(0, position))
      const lower = Math.floor(clamped)
      add(output, lower, 1 - (clamped - lower))
      add(output, lower + 1, clamped - lower)
    }
  }
  return { dtype: 'float32', shape: [to, from], data }
}

/**
 * Where an output lies among the inputs, rounded to float32 at every operation as the runtime does: where it falls on
 * the border of two inputs, rounding decides which one is the nearest.
 */
const originalPosition = (node: Node, output: number, from: number, to: number, exactScale: number): number => {
  const float = Math.fround
  const scale = float(exactScale)
  const mode = stringAttribute(node, 'coordinate_transformation_mode', 'half_pixel')
  const centre = (): number => float(float(output + 0.5) / scale)
  if (mode === 'half_pixel') return float(centre() - 0.5)
  if (mode === 'asymmetric') return float(output / scale)
  if (mode === 'pytorch_half_pixel') return to > 1 ? float(centre() - 0.5) : 0
  if (mode === 'tf_half_pixel_for_nn') return centre()
  if (mode === 'align_corners') return to === 1 ? 0 : float(float(output * (from - 1)) / (to - 1))
  return unsupportedForm(node, `coordinates by ${mode}`, 'Resize with half_pixel, asymmetric or align_corners.')
}

const middle = 1e-6

const nearest = (node: Node, position: number): number => {
  const mode = stringAttribute(node, 'nearest_mode', 'round_prefer_floor')
  if (mode === 'floor') return Math.floor(position)
  if (mode === 'ceil') return Math.ceil(position)
  // As the runtime does: what rounding has moved off the middle of two inputs still counts as the middle.
  if (mode === 'round_prefer_ceil') return Math.floor(position + 0.5 + middle)
  return Math.ceil(position - 0.5 - middle)
}
