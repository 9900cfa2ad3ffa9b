import { floatAttribute, intAttribute, type Node } from '../graph.ts'
import { floatOf, type GradientContext, type GradientRule } from './gradient-rule.ts'
import { allButChannels, emitInverse, emitMean, emitMoments, perChannel, sumPerChannel } from './moments.ts'
import { unsupportedForm } from './window.ts'

export const epsilonOf = (node: Node): number => floatAttribute(node, 'epsilon', 1e-5)

/** BatchNormalization (Ioffe & Szegedy 2015), by the batch's moments in training mode and by running ones otherwise. */
export const batchNormalizationGradient: GradientRule = context =>
  intAttribute(context.node, 'training_mode', 0) === 1 ? trainingGradient(context) : frozenGradient(context)

/**
 * With c = x − mean: dX = scale·inverse·(dY − mean(dY) − c·inverse²·mean(dY·c)); the sums that scale and bias need are
 * the same means times n.
 */
const trainingGradient = (context: GradientContext): readonly (string | undefined)[] => {
  const { node, emitter, typeOf, wants, outputGradient } = context
  const [x = '', scale = ''] = node.inputs
  const rank = typeOf(x).shape.length
  const axes = allButChannels(rank)
  const { centred, inverse } = emitMoments(emitter, x, axes, epsilonOf(node), floatOf(context))
  const product = emitter.call('Mul', outputGradient, centred)
  const channels = emitter.int64s([-1])
  const dX = (): string => {
    const squared = emitter.call('Mul', inverse, inverse)
    const slope = emitter.call('Mul', squared, emitMean(emitter, product, axes))
    const level = emitter.call('Sub', outputGradient, emitMean(emitter, outputGradient, axes))
    const rest = emitter.call('Sub', level, emitter.call('Mul', centred, slope))
    return emitter.call('Mul', rest, emitter.call('Mul', inverse, perChannel(emitter, scale, rank)))
  }
  return [
    wants(0) ? dX() : undefined,
    wants(1)
      ? emitter.call('Mul', sumPerChannel(emitter, product, rank), emitter.call('Reshape', inverse, channels))
      : undefined,
    wants(2) ? sumPerChannel(emitter, outputGradient, rank) : undefined,
  ]
}

const frozenGradient = (context: GradientContext): readonly (string | undefined)[] => {
  const { node, emitter, typeOf, wants, outputGradient } = context
  const [x = '', scale = '', , mean = '', variance = ''] = node.inputs
  if (wants(3) || wants(4)) unsupportedForm(node, 'statistics that are trained', 'Keep them as initialisers.')
  const rank = typeOf(x).shape.length
  const inverse = emitInverse(emitter, variance, epsilonOf(node), floatOf(context))
  const dScale = (): string => {
    const centred = emitter.call('Sub', x, perChannel(emitter, mean, rank))
    const sum = sumPerChannel(emitter, emitter.call('Mul', outputGradient, centred), rank)
    return emitter.call('Mul', sum, inverse)
  }
  const factor = (): string => perChannel(emitter, emitter.call('Mul', inverse, scale), rank)
  return [
    wants(0) ? emitter.call('Mul', outputGradient, factor()) : undefined,
    wants(1) ? dScale() : undefined,
    wants(2) ? sumPerChannel(emitter, outputGradient, rank) : undefined,
  ]
}
