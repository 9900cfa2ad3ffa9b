import { intAttribute, intsAttribute, type Node, onlyOutput, stringAttribute } from '../graph.ts'
import { fixedSize } from './constant-operand.ts'
import { convWeightGradient } from './conv-weight-gradient.ts'
import type { GradientContext, GradientRule } from './gradient-rule.ts'
import { at, fixedSizes, transposedAttributes, unsupportedForm, type Window, windowOf } from './window.ts'

/** Conv over any number of spatial axes, with any number of groups. */
export const convGradient: GradientRule = context => {
  const { node, emitter, typeOf, wants, outputGradient } = context
  const [x = '', w = ''] = node.inputs
  const { filters, kernel } = weightSizes(context, w)
  const window = windowOf(node, typeOf(x), typeOf(onlyOutput(node)), kernel)
  const groups = intAttribute(node, 'group', 1)
  const channels = fixedSize(context, x, 1)
  const convolution = { x, dY: outputGradient, window, groups, channels, filters }
  return [
    wants(0) ? inputGradient(context, w, window, groups) : undefined,
    wants(1) ? convWeightGradient(emitter, convolution) : undefined,
    wants(2) ? biasGradient(context, kernel.length) : undefined,
  ]
}

/**
 * ConvTranspose is the adjoint of Conv in its input, so its gradients are those of that Conv with x and dY in each
 * other's place.
 */
export const convTransposeGradient: GradientRule = context => {
  const { node, emitter, typeOf, wants, outputGradient } = context
  const [x = '', w = ''] = node.inputs
  const { filters, kernel } = weightSizes(context, w)
  const ends = { small: typeOf(x), large: typeOf(onlyOutput(node)) }
  const window = withImpliedPads(node, windowOf(node, ends.large, ends.small, kernel))
  const outputPadding = intsAttribute(node, 'output_padding') ?? []
  if (outputPadding.some((size, axis) => size >= at(window.strides, axis))) {
    unsupportedForm(node, 'output_padding as large as the stride', 'Use an output_padding below the stride.')
  }
  const groups = intAttribute(node, 'group', 1)
  const { strides, dilations, padBegin, padEnd } = window
  const attributes = { strides, dilations, pads: [...padBegin, ...padEnd], group: groups }
  const channels = fixedSize(context, onlyOutput(node), 1)
  return [
    wants(0) ? emitter.emit('Conv', [outputGradient, w], attributes) : undefined,
    wants(1) ? convWeightGradient(emitter, { x: outputGradient, dY: x, window, groups, channels, filters }) : undefined,
    wants(2) ? biasGradient(context, fixedSizes(node, ends.small).length) : undefined,
  ]
}

/**
 * The pads of a ConvTranspose that follow from the size of its result (auto_pad, output_shape): the runtime puts the odd
 * one at the end for SAME_UPPER and at the beginning otherwise.
 */
const withImpliedPads = (node: Node, window: Window): Window => {
  const automatic = stringAttribute(node, 'auto_pad', 'NOTSET')
  if (!node.attributes.has('output_shape') && !automatic.startsWith('SAME')) return window
  const { kernel, strides, dilations, inputSizes, outputSizes } = window
  const outputPadding = intsAttribute(node, 'output_padding') ?? []
  const totals = kernel.map((size, axis) => {
    const spread = (at(outputSizes, axis) - 1) * at(strides, axis) + at(dilations, axis) * (size - 1) + 1
    return Math.max(0, spread + at(outputPadding, axis) - at(inputSizes, axis))
  })
  const less = totals.map(total => Math.floor(total / 2))
  const more = totals.map((total, axis) => total - at(less, axis))
  const [padBegin, padEnd] = automatic === 'SAME_UPPER' ? [less, more] : [more, less]
  return { ...window, padBegin, padEnd }
}

/** The sizes [filters, …, …kernel] of a weight, which must not vary. */
const weightSizes = (context: GradientContext, weight: string): { filters: number; kernel: readonly number[] } => {
  const sizes = context.typeOf(weight).shape.map((_, axis) => fixedSize(context, weight, axis))
  const [filters = 0, , ...kernel] = sizes
  return { filters, kernel }
}

const biasGradient = ({ emitter, outputGradient }: GradientContext, spatialAxes: number): string => {
  const axes = [0, ...Array.from({ length: spatialAxes }, (_, axis) => axis + 2)]
  return emitter.emit('ReduceSum', [outputGradient, emitter.int64s(axes)], { keepdims: 0 })
}

/** dX = ConvTranspose(dY, W); of a kernel of one pixel that is a Conv with the transposed matrix, which is faster. */
const inputGradient = (context: GradientContext, w: string, window: Window, groups: number): string => {
  const { emitter, outputGradient } = context
  const { kernel, strides, padBegin, padEnd } = window
  const isMatrix =
    groups === 1 &&
    [...kernel, ...strides].every(size => size === 1) &&
    [...padBegin, ...padEnd].every(size => size === 0)
  if (isMatrix) {
    const perm = [1, 0, ...kernel.map((_, axis) => axis + 2)]
    return emitter.call('Conv', outputGradient, emitter.emit('Transpose', [w], { perm }))
  }
  return emitter.emit('ConvTranspose', [outputGradient, w], { ...transposedAttributes(window), group: groups })
}
