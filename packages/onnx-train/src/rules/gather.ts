import { intAttribute, stringAttribute } from '../graph.ts'
import { castTarget } from '../onnx-types.ts'
import { floatOf, type GradientContext, type GradientRule } from './gradient-rule.ts'
import { unsupportedForm } from './window.ts'

/**
 * Gather (embeddings along axis 0, an index or several along any): each dY is added to the row it was taken from. The
 * gathered axis goes to the front for that, where rows can be scattered.
 */
export const gatherGradient: GradientRule = context => {
  const { node, emitter, typeOf, outputGradient } = context
  const [x = '', indices = ''] = node.inputs
  const rank = typeOf(x).shape.length
  const declared = intAttribute(node, 'axis', 0)
  const axis = declared < 0 ? declared + rank : declared
  const indexRank = typeOf(indices).shape.length
  const rows = emitter.call('Unsqueeze', asInt64(context, indices), emitter.int64s([indexRank]))
  if (axis === 0) return [scatterRows(context, zerosLike(context, x), rows, outputGradient)]
  const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index)
  const toFront = [
    ...range(axis, axis + indexRank),
    ...range(0, axis),
    ...range(axis + indexRank, rank - 1 + indexRank),
  ]
  const updates = emitter.emit('Transpose', [outputGradient], { perm: toFront })
  const front = [axis, ...range(0, axis), ...range(axis + 1, rank)]
  const zeros = emitter.emit('Transpose', [zerosLike(context, x)], { perm: front })
  const scattered = scatterRows(context, zeros, rows, updates)
  return [emitter.emit('Transpose', [scattered], { perm: front.map((_, index) => front.indexOf(index)) })]
}

export const gatherElementsGradient: GradientRule = context => {
  const { node, emitter, outputGradient } = context
  const [x = '', indices = ''] = node.inputs
  const attributes = { axis: intAttribute(node, 'axis', 0), reduction: { string: 'add' } }
  return [emitter.emit('ScatterElements', [zerosLike(context, x), indices, outputGradient], attributes)]
}

export const gatherNdGradient: GradientRule = context => {
  const { node, outputGradient } = context
  const [x = '', indices = ''] = node.inputs
  if (intAttribute(node, 'batch_dims', 0) !== 0) unsupportedForm(node, 'batch_dims', 'Use GatherElements instead.')
  return [scatterRows(context, zerosLike(context, x), indices, outputGradient)]
}

/** ScatterND and ScatterElements: the updates' gradients are what is where they went. */
export const scatterGradient: GradientRule = context => {
  const { node, emitter, outputGradient, wants } = context
  const [, indices = '', updates = ''] = node.inputs
  const reduction = stringAttribute(node, 'reduction', 'none')
  if (reduction !== 'none' && reduction !== 'add') {
    unsupportedForm(node, `reduction ${reduction}`, 'Scatter without a reduction or with "add".')
  }
  const attributes = node.op === 'ScatterND' ? {} : { axis: intAttribute(node, 'axis', 0) }
  const gather = node.op === 'ScatterND' ? 'GatherND' : 'GatherElements'
  const kept = (): string =>
    reduction === 'add'
      ? outputGradient
      : emitter.emit(node.op, [outputGradient, indices, zerosLike(context, updates)], attributes)
  return [
    wants(0) ? kept() : undefined,
    undefined,
    wants(2) ? emitter.emit(gather, [outputGradient, indices], attributes) : undefined,
  ]
}

/** Gather takes 32-bit indices too (those of Keras are), ScatterND does not. */
const asInt64 = ({ emitter, typeOf }: GradientContext, indices: string): string =>
  typeOf(indices).dtype === 'int64' ? indices : emitter.emit('Cast', [indices], { to: castTarget.int64 })

const scatterRows = ({ emitter }: GradientContext, zeros: string, indices: string, updates: string): string =>
  emitter.emit('ScatterND', [zeros, indices, updates], { reduction: { string: 'add' } })

/** Zeros in the shape of a value; a node of its own where the shape is fixed, so that it is made once. */
const zerosLike = (context: GradientContext, value: string): string => {
  const { emitter, typeOf } = context
  const sizes = typeOf(value).shape
  const isStatic = sizes.every(size => typeof size === 'number')
  const shape = isStatic ? emitter.int64s(sizes.map(Number)) : emitter.call('Shape', value)
  return emitter.call('Expand', emitter.scalar(floatOf(context), 0), shape)
}
