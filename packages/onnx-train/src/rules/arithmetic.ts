import { onlyOutput } from '../graph.ts'
import { castTarget } from '../onnx-types.ts'
import { floatOf, type GradientContext, type GradientRule } from './gradient-rule.ts'
import { toOperand } from './reduce-to-shape.ts'

/** Each wanted operand's gradient, summed over the axes along which the operand was repeated. */
const operands = (context: GradientContext, gradientOf: (index: number) => string): (string | undefined)[] =>
  context.node.inputs.map((_, index) =>
    context.wants(index) ? toOperand(context, gradientOf(index), index) : undefined,
  )

/** Add and Sum: every operand gets dY. */
export const addGradient: GradientRule = context => operands(context, () => context.outputGradient)

export const meanGradient: GradientRule = context => {
  const { emitter, node, outputGradient } = context
  const count = emitter.scalar(floatOf(context), node.inputs.length)
  return operands(context, () => emitter.call('Div', outputGradient, count))
}

export const subGradient: GradientRule = context => {
  const { emitter, outputGradient } = context
  // The sum over broadcast axes comes first: less is left to negate.
  return context.node.inputs.map((_, index) => {
    if (!context.wants(index)) return undefined
    const sum = toOperand(context, outputGradient, index)
    return index === 0 ? sum : emitter.call('Neg', sum)
  })
}

export const mulGradient: GradientRule = context =>
  operands(context, index => context.emitter.call('Mul', context.outputGradient, context.node.inputs[1 - index] ?? ''))

/** dA = dY/B, dB = −dY·Y/B. */
export const divGradient: GradientRule = context => {
  const { emitter, node } = context
  const quotient = emitter.call('Div', context.outputGradient, node.inputs[1] ?? '')
  return operands(context, index =>
    index === 0 ? quotient : emitter.call('Neg', emitter.call('Mul', quotient, onlyOutput(node))),
  )
}

/** Y = Xᵖ: dX = dY·p·Xᵖ⁻¹, which is 0 where p is, also at X = 0; dp = dY·Y·ln X, which is 0 where X is. */
export const powGradient: GradientRule = context => {
  const { emitter, node, typeOf } = context
  const [x = '', p = ''] = node.inputs
  const dtype = floatOf(context)
  const { constant } = typeOf(p)
  const exponent = constant?.data.length === 1 ? Number(constant.data[0]) : undefined
  const asFloat = (): string => (typeOf(p).dtype === dtype ? p : emitter.emit('Cast', [p], { to: castTarget[dtype] }))
  const slope = (): string => {
    if (exponent === 0) return emitter.scalar(dtype, 0)
    if (exponent === 2) return emitter.call('Mul', x, emitter.scalar(dtype, 2))
    if (exponent !== undefined) {
      const power = emitter.call('Pow', x, emitter.scalar(dtype, exponent - 1))
      return emitter.call('Mul', power, emitter.scalar(dtype, exponent))
    }
    const factor = asFloat()
    const zero = emitter.scalar(dtype, 0)
    const reduced = emitter.call('Sub', factor, emitter.scalar(dtype, 1))
    // 0⁻¹·0 is no number.
    const safe = emitter.call('Where', emitter.call('Equal', factor, zero), zero, reduced)
    return emitter.call('Mul', emitter.call('Pow', x, safe), factor)
  }
  const logarithm = (): string => {
    const isZero = emitter.call('Equal', x, emitter.scalar(dtype, 0))
    return emitter.call('Log', emitter.call('Where', isZero, emitter.scalar(dtype, 1), x))
  }
  return operands(context, index =>
    emitter.call(
      'Mul',
      context.outputGradient,
      index === 0 ? slope() : emitter.call('Mul', onlyOutput(node), logarithm()),
    ),
  )
}

/** Min and Max of any number of operands; those that tie share the gradient equally. */
export const extremumGradient: GradientRule = context => {
  const { emitter, node, outputGradient } = context
  const to = castTarget[floatOf(context)]
  const winners = node.inputs.map(name => emitter.emit('Cast', [emitter.call('Equal', name, onlyOutput(node))], { to }))
  const share = emitter.call('Div', outputGradient, emitter.emit('Sum', winners))
  return operands(context, index => emitter.call('Mul', share, winners[index] ?? ''))
}

/** Where: the gradient goes to the operand that was taken. */
export const whereGradient: GradientRule = context => {
  const { emitter, node, outputGradient } = context
  const [condition = ''] = node.inputs
  const zero = emitter.scalar(floatOf(context), 0)
  return operands(context, index =>
    index === 1
      ? emitter.call('Where', condition, outputGradient, zero)
      : emitter.call('Where', condition, zero, outputGradient),
  )
}

/** Cast between float types. */
export const castGradient: GradientRule = context => {
  const { dtype } = context.typeOf(context.node.inputs[0] ?? '')
  const to = castTarget[dtype === 'float64' ? 'float64' : 'float32']
  return [context.emitter.emit('Cast', [context.outputGradient], { to })]
}
