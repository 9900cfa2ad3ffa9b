import { floatAttribute, onlyOutput } from '../graph.ts'
import { floatOf, type GradientRule } from './gradient-rule.ts'
import { toOperand } from './reduce-to-shape.ts'
import { positiveMask } from './step-mask.ts'

/** dX = dY where y > 0. */
export const reluGradient: GradientRule = context => [
  context.emitter.call('Mul', context.outputGradient, positiveMask(context, onlyOutput(context.node))),
]

/** dX = dY·(α + (1 − α)·[x > 0]). */
export const leakyReluGradient: GradientRule = context => {
  const { emitter, node, outputGradient } = context
  const dtype = floatOf(context)
  const alpha = floatAttribute(node, 'alpha', 0.01)
  const mask = positiveMask(context, node.inputs[0] ?? '')
  const above = emitter.call('Mul', mask, emitter.scalar(dtype, 1 - alpha))
  return [emitter.call('Mul', outputGradient, emitter.call('Add', above, emitter.scalar(dtype, alpha)))]
}

/** PRelu with a slope that is broadcast: dX = dY or dY·slope, d(slope) = Σ dY·min(x, 0). */
export const preluGradient: GradientRule = context => {
  const { emitter, node, outputGradient, wants } = context
  const [x = '', slope = ''] = node.inputs
  const zero = emitter.scalar(floatOf(context), 0)
  const isPositive = (): string => emitter.call('Greater', x, zero)
  return [
    wants(0)
      ? emitter.call('Where', isPositive(), outputGradient, emitter.call('Mul', outputGradient, slope))
      : undefined,
    wants(1) ? toOperand(context, emitter.call('Mul', outputGradient, emitter.call('Min', x, zero)), 1) : undefined,
  ]
}

/** Selu's constants as the operator defines them (Klambauer et al. 2017). */
const seluDefaults = { alpha: 1.6732632423543772, gamma: 1.0507009873554805 }

/** Elu: dY·(y + α) where x ≤ 0; Selu: the same with αγ, and γ above. */
export const eluGradient: GradientRule = context => {
  const { emitter, node, outputGradient } = context
  const dtype = floatOf(context)
  const isSelu = node.op === 'Selu'
  const gamma = isSelu ? floatAttribute(node, 'gamma', seluDefaults.gamma) : 1
  const alpha = floatAttribute(node, 'alpha', isSelu ? seluDefaults.alpha : 1)
  const isPositive = emitter.call('Greater', node.inputs[0] ?? '', emitter.scalar(dtype, 0))
  const below = emitter.call('Add', onlyOutput(node), emitter.scalar(dtype, alpha * gamma))
  return [emitter.call('Mul', outputGradient, emitter.call('Where', isPositive, emitter.scalar(dtype, gamma), below))]
}

/** Celu: dY·exp(min(x, 0)/α). */
export const celuGradient: GradientRule = context => {
  const { emitter, node, outputGradient } = context
  const dtype = floatOf(context)
  const below = emitter.call('Min', node.inputs[0] ?? '', emitter.scalar(dtype, 0))
  const scaled = emitter.call('Div', below, emitter.scalar(dtype, floatAttribute(node, 'alpha', 1)))
  return [emitter.call('Mul', outputGradient, emitter.call('Exp', scaled))]
}
