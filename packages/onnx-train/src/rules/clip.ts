import { floatAttribute, inputAt, onlyOutput } from '../graph.ts'
import { floatOf, type GradientContext, type GradientRule } from './gradient-rule.ts'
import { positiveMask } from './step-mask.ts'
import { unsupportedForm } from './window.ts'

/** dX = dY strictly between the bounds, which is where (y − low)·(high − y) > 0, and 0 at and beyond them. */
export const clipGradient: GradientRule = context => {
  const { emitter, node, outputGradient, wants } = context
  if (wants(1) || wants(2)) unsupportedForm(node, 'bounds that are trained', 'Make its bounds constants.')
  const y = onlyOutput(node)
  const low = boundOf(context, 1, Number.NEGATIVE_INFINITY)
  const high = boundOf(context, 2, Number.POSITIVE_INFINITY)
  const above = low === undefined ? undefined : emitter.call('Sub', y, low)
  const below = high === undefined ? undefined : emitter.call('Sub', high, y)
  const inside = above !== undefined && below !== undefined ? emitter.call('Mul', above, below) : (above ?? below)
  return [inside === undefined ? outputGradient : emitter.call('Mul', outputGradient, positiveMask(context, inside))]
}

/** HardSigmoid is a line clipped to 0 … 1. */
export const hardSigmoidGradient: GradientRule = context => {
  const { emitter, node, outputGradient } = context
  const y = onlyOutput(node)
  const slope = emitter.scalar(floatOf(context), floatAttribute(node, 'alpha', 0.2))
  const mask = positiveMask(context, emitter.call('Sub', y, emitter.call('Mul', y, y)))
  return [emitter.call('Mul', outputGradient, emitter.call('Mul', mask, slope))]
}

/** HardSwish x·h(x) with h(x) = clip(x/6 + ½, 0, 1): h + x·h′. */
export const hardSwishGradient: GradientRule = context => {
  const { emitter, node, outputGradient } = context
  const [x = ''] = node.inputs
  const sixth = emitter.scalar(floatOf(context), 1 / 6)
  const h = emitter.emit('HardSigmoid', [x], { alpha: { float: 1 / 6 }, beta: { float: 0.5 } })
  const mask = positiveMask(context, emitter.call('Sub', h, emitter.call('Mul', h, h)))
  const rising = emitter.call('Mul', emitter.call('Mul', x, mask), sixth)
  return [emitter.call('Mul', outputGradient, emitter.call('Add', h, rising))]
}

/** A bound's name, or undefined where there is none or it never binds. */
const boundOf = ({ node, typeOf }: GradientContext, index: number, unbounded: number): string | undefined => {
  const name = inputAt(node, index)
  return name === undefined || typeOf(name).constant?.data[0] === unbounded ? undefined : name
}
