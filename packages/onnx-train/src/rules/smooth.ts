import { onlyOutput } from '../graph.ts'
import { floatOf, type GradientContext, type GradientRule } from './gradient-rule.ts'

type Terms = {
  readonly x: string
  readonly y: string
  readonly call: (op: string, ...inputs: readonly string[]) => string
  readonly number: (value: number) => string
}

/** A rule dX = dY·f′, with f′ emitted from the operator's input and result. */
const timesSlope =
  (slope: (terms: Terms, context: GradientContext) => string): GradientRule =>
  context => {
    const { emitter, node, outputGradient } = context
    const terms: Terms = {
      x: node.inputs[0] ?? '',
      y: onlyOutput(node),
      call: (op, ...inputs) => emitter.call(op, ...inputs),
      number: value => emitter.scalar(floatOf(context), value),
    }
    return [emitter.call('Mul', outputGradient, slope(terms, context))]
  }

export const negGradient: GradientRule = ({ emitter, outputGradient }) => [emitter.call('Neg', outputGradient)]
export const expGradient = timesSlope(({ y }) => y)
export const logGradient = timesSlope(({ x, call }) => call('Reciprocal', x))
export const sqrtGradient = timesSlope(({ y, call, number }) => call('Div', number(0.5), y))
/** 0 at 0. */
export const absGradient = timesSlope(({ x, call }) => call('Sign', x))
export const reciprocalGradient = timesSlope(({ y, call }) => call('Neg', call('Mul', y, y)))
export const sinGradient = timesSlope(({ x, call }) => call('Cos', x))
export const cosGradient = timesSlope(({ x, call }) => call('Neg', call('Sin', x)))

/** y − y² */
export const sigmoidGradient = timesSlope(({ y, call }) => call('Sub', y, call('Mul', y, y)))
export const tanhGradient = timesSlope(({ y, call, number }) => call('Sub', number(1), call('Mul', y, y)))
export const softplusGradient = timesSlope(({ x, call }) => call('Sigmoid', x))

/** 1/(1 + |x|)² = (1 − |y|)² */
export const softsignGradient = timesSlope(({ y, call, number }) => {
  const root = call('Sub', number(1), call('Abs', y))
  return call('Mul', root, root)
})

/** 2/√π·exp(−x²) */
export const erfGradient = timesSlope(({ x, call, number }) =>
  call('Mul', call('Exp', call('Neg', call('Mul', x, x))), number(2 / Math.sqrt(Math.PI))),
)

/** t + x·(1 − t²)·σ(x) with t = tanh(softplus(x)). */
export const mishGradient = timesSlope(({ x, call, number }) => {
  const t = call('Tanh', call('Softplus', x))
  const inner = call('Mul', call('Sub', number(1), call('Mul', t, t)), call('Sigmoid', x))
  return call('Add', t, call('Mul', x, inner))
})
