import { intAttribute, onlyOutput } from '../graph.ts'
import type { GradientContext, GradientRule } from './gradient-rule.ts'
import { unsupportedForm, type Window, windowOf } from './window.ts'

/** Conv over any number of spatial axes, one group. */
export const convGradient: GradientRule = context => {
  const { node, emitter, typeOf, wants, outputGradient } = context
  const [x = '', w = ''] = node.inputs
  if (intAttribute(node, 'group', 1) !== 1) unsupportedForm(node, 'groups', 'Use a Conv with group = 1.')
  const kernel = typeOf(w).shape.slice(2).map(Number)
  const window = windowOf(node, typeOf(x), typeOf(onlyOutput(node)), kernel)
  const reduced = [0, ...kernel.map((_, axis) => axis + 2)]
  return [
    wants(0) ? inputGradient(context, w, window) : undefined,
    wants(1) ? weightGradient(context, x, window) : undefined,
    wants(2) ? emitter.emit('ReduceSum', [outputGradient, emitter.int64s(reduced)], { keepdims: 0 }) : undefined,
  ]
}

/** dX = ConvTranspose(dY, W); output_padding gives back the rows that the stride left unread. */
const inputGradient = ({ emitter, outputGradient }: GradientContext, w: string, window: Window): string => {
  const { kernel, strides, dilations, padBegin, padEnd, inputSizes, outputSizes } = window
  const outputPadding = kernel.map((size, axis) => {
    const spread = (at(outputSizes, axis) - 1) * at(strides, axis) + at(dilations, axis) * (size - 1) + 1
    return at(inputSizes, axis) - (spread - at(padBegin, axis) - at(padEnd, axis))
  })
  return emitter.emit('ConvTranspose', [outputGradient, w], {
    strides,
    dilations,
    pads: [...padBegin, ...padEnd],
    output_padding: outputPadding,
  })
}

/**
 * dW is a convolution of x with dY in which examples and channels change places and so do strides and dilations: every
 * kernel position correlates the whole input with the whole gradient. Rows beyond the kernel (unread input) are cut.
 */
const weightGradient = ({ emitter, outputGradient }: GradientContext, x: string, window: Window): string => {
  const { kernel, strides, dilations, padBegin, padEnd, inputSizes, outputSizes } = window
  const swap = [1, 0, ...kernel.map((_, axis) => axis + 2)]
  const correlated = emitter.emit(
    'Conv',
    [emitter.emit('Transpose', [x], { perm: swap }), emitter.emit('Transpose', [outputGradient], { perm: swap })],
    { strides: dilations, dilations: strides, pads: [...padBegin, ...padEnd] },
  )
  const sizes = kernel.map((_, axis) => {
    const span = at(strides, axis) * (at(outputSizes, axis) - 1) + 1
    const padded = at(inputSizes, axis) + at(padBegin, axis) + at(padEnd, axis)
    return Math.floor((padded - span) / at(dilations, axis)) + 1
  })
  const long = kernel.flatMap((size, axis) => (at(sizes, axis) > size ? [axis] : []))
  const cut =
    long.length === 0
      ? correlated
      : emitter.emit('Slice', [
          correlated,
          emitter.int64s(long.map(() => 0)),
          emitter.int64s(long.map(axis => at(kernel, axis))),
          emitter.int64s(long.map(axis => axis + 2)),
        ])
  return emitter.emit('Transpose', [cut], { perm: swap })
}

const at = (list: readonly number[], index: number): number => list[index] ?? 0
