import { floatAttribute, inputAt, intAttribute } from '../graph.ts'
import { floatOf, type GradientContext, type GradientRule } from './gradient-rule.ts'
import { emitMoments, emitStandardisedGradient, perChannel, sumPerChannel } from './moments.ts'
import { reduceToShape, reshapeLike } from './reduce-to-shape.ts'

const defaultEpsilon = 1e-5

/** LayerNormalization over the axes from `axis` on (Ba et al. 2016). */
export const layerNormalizationGradient: GradientRule = context => {
  const { node, emitter, typeOf, wants, outputGradient } = context
  const [x = '', scale = ''] = node.inputs
  const { shape } = typeOf(x)
  const declared = intAttribute(node, 'axis', -1)
  const first = declared < 0 ? declared + shape.length : declared
  const axes = Array.from({ length: shape.length - first }, (_, axis) => first + axis)
  const { standardised, inverse } = ownStatistics(context, axes)
  const toVector = (value: string, name: string): string => reduceToShape(context, value, shape, typeOf(name).shape)
  const bias = inputAt(node, 2)
  return [
    wants(0)
      ? emitStandardisedGradient(emitter, emitter.call('Mul', outputGradient, scale), standardised, inverse, axes)
      : undefined,
    wants(1) ? toVector(emitter.call('Mul', outputGradient, standardised), scale) : undefined,
    bias !== undefined && wants(2) ? toVector(outputGradient, bias) : undefined,
  ]
}

/** The operator returns mean and inverse deviation, in float32; doubles compute their own. */
const ownStatistics = (
  context: GradientContext,
  axes: readonly number[],
): { readonly standardised: string; readonly inverse: string } => {
  const { node, emitter } = context
  const [x = ''] = node.inputs
  const [, mean = '', deviation = ''] = node.outputs
  const dtype = floatOf(context)
  if (dtype === 'float32' && mean !== '' && deviation !== '') {
    const centred = emitter.call('Sub', x, mean)
    return { standardised: emitter.call('Mul', centred, deviation), inverse: deviation }
  }
  const { centred, inverse } = emitMoments(emitter, x, axes, floatAttribute(node, 'epsilon', defaultEpsilon), dtype)
  return { standardised: emitter.call('Mul', centred, inverse), inverse }
}

/** InstanceNormalization: each channel of each example by its own moments (Ulyanov et al. 2016). */
export const instanceNormalizationGradient: GradientRule = context => {
  const { node, emitter, typeOf, wants, outputGradient } = context
  const [x = '', scale = ''] = node.inputs
  const rank = typeOf(x).shape.length
  const axes = Array.from({ length: rank - 2 }, (_, axis) => axis + 2)
  const epsilon = floatAttribute(node, 'epsilon', defaultEpsilon)
  const { centred, inverse } = emitMoments(emitter, x, axes, epsilon, floatOf(context))
  const standardised = emitter.call('Mul', centred, inverse)
  const scaled = (): string => emitter.call('Mul', outputGradient, perChannel(emitter, scale, rank))
  return [
    wants(0) ? emitStandardisedGradient(emitter, scaled(), standardised, inverse, axes) : undefined,
    wants(1) ? sumPerChannel(emitter, emitter.call('Mul', outputGradient, standardised), rank) : undefined,
    wants(2) ? sumPerChannel(emitter, outputGradient, rank) : undefined,
  ]
}

/**
 * GroupNormalization (Wu & He 2018). Scale and bias are of channels, or of groups in opset 18 to 20.
 */
export const groupNormalizationGradient: GradientRule = context => {
  const { node, emitter, typeOf, wants, outputGradient } = context
  const [x = '', scale = ''] = node.inputs
  const rank = typeOf(x).shape.length
  const groups = intAttribute(node, 'num_groups', 1)
  const grouped = (value: string): string => emitter.call('Reshape', value, emitter.int64s([0, groups, -1]))
  const epsilon = floatAttribute(node, 'epsilon', defaultEpsilon)
  const { centred, inverse } = emitMoments(emitter, grouped(x), [2], epsilon, floatOf(context))
  const standardised = emitter.call('Mul', centred, inverse)
  const isOfGroups = typeOf(scale).shape[0] === groups && typeOf(x).shape[1] !== groups
  const dY = isOfGroups ? grouped(outputGradient) : outputGradient
  const inner = isOfGroups ? 3 : rank
  const scaled = (): string => {
    const product = emitter.call('Mul', dY, perChannel(emitter, scale, inner))
    return isOfGroups ? product : grouped(product)
  }
  const onDY = isOfGroups ? standardised : reshapeLike(context, standardised, x)
  return [
    wants(0)
      ? reshapeLike(context, emitStandardisedGradient(emitter, scaled(), standardised, inverse, [2]), x)
      : undefined,
    wants(1) ? sumPerChannel(emitter, emitter.call('Mul', dY, onDY), inner) : undefined,
    wants(2) ? sumPerChannel(emitter, dY, inner) : undefined,
  ]
}
