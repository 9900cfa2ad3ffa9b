import { stringAttribute } from '../graph.ts'
import { floatOf, type GradientContext, type GradientRule } from './gradient-rule.ts'

/** Gelu (Hendrycks & Gimpel 2016), exact or with the tanh approximation. */
export const geluGradient: GradientRule = context => {
  const isApproximate = stringAttribute(context.node, 'approximate', 'none') === 'tanh'
  const slope = isApproximate ? approximateSlope(context) : exactSlope(context)
  return [context.emitter.call('Mul', context.outputGradient, slope)]
}

/** Φ(x) + x·φ(x) */
const exactSlope = (context: GradientContext): string => {
  const { call, number, x } = termsOf(context)
  const erf = call('Erf', call('Mul', x, number(Math.SQRT1_2)))
  const cumulative = call('Mul', call('Add', erf, number(1)), number(0.5))
  const squared = call('Mul', call('Mul', x, x), number(-0.5))
  const density = call('Mul', call('Exp', squared), number(1 / Math.sqrt(2 * Math.PI)))
  return call('Add', cumulative, call('Mul', x, density))
}

/** ½(1 + t) + ½x(1 − t²)·u′ with t = tanh(u), u = √(2/π)·(x + 0.044715x³). */
const approximateSlope = (context: GradientContext): string => {
  const { call, number, x } = termsOf(context)
  const root = Math.sqrt(2 / Math.PI)
  const squared = call('Mul', x, x)
  const bracket = call('Add', call('Mul', squared, number(0.044715 * root)), number(root))
  const t = call('Tanh', call('Mul', x, bracket))
  const inner = call('Add', call('Mul', squared, number(3 * 0.044715 * root)), number(root))
  const flank = call('Mul', call('Mul', x, inner), call('Sub', number(1), call('Mul', t, t)))
  return call('Mul', call('Add', call('Add', t, number(1)), flank), number(0.5))
}

const termsOf = (context: GradientContext) => ({
  x: context.node.inputs[0] ?? '',
  call: (op: string, ...inputs: readonly string[]) => context.emitter.call(op, ...inputs),
  number: (value: number) => context.emitter.scalar(floatOf(context), value),
})
