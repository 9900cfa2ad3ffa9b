import { intAttribute, onlyOutput } from '../graph.ts'
import { castTarget } from '../onnx-types.ts'
import { constantInts } from './constant-operand.ts'
import { expandLike } from './expand.ts'
import { floatOf, type GradientContext, type GradientRule } from './gradient-rule.ts'

type Reduction = {
  readonly context: GradientContext
  readonly x: string
  readonly axes: readonly number[]
  /** The gradient and the result, with 1 along the reduced axes. */
  readonly dY: string
  readonly y: () => string
  readonly call: (op: string, ...inputs: readonly string[]) => string
}

/** Reductions that do something to a single element; the others leave it as it is. */
const bendsElements = new Set(['ReduceL1', 'ReduceL2', 'ReduceSumSquare'])

const reduction =
  (gradientOf: (given: Reduction) => string): GradientRule =>
  context => {
    const { node, emitter, typeOf, outputGradient } = context
    const [x = ''] = node.inputs
    const rank = typeOf(x).shape.length
    const listed = constantInts(context, 1, 'axes') ?? []
    // The runtime takes an axis that is named twice as named once.
    const given = [...new Set(listed.map(axis => (axis < 0 ? axis + rank : axis)))].sort((a, b) => a - b)
    const isElementwise = given.length === 0 && intAttribute(node, 'noop_with_empty_axes', 0) === 1
    if (isElementwise && !bendsElements.has(node.op)) return [outputGradient]
    const axes = given.length === 0 ? (isElementwise ? [] : Array.from({ length: rank }, (_, axis) => axis)) : given
    const keeps = intAttribute(node, 'keepdims', 1) === 1
    const kept = (value: string): string =>
      keeps || isElementwise ? value : emitter.call('Unsqueeze', value, emitter.int64s(axes))
    const call: Reduction['call'] = (op, ...inputs) => emitter.call(op, ...inputs)
    return [gradientOf({ context, x, axes, dY: kept(outputGradient), y: () => kept(onlyOutput(node)), call })]
  }

export const reduceSumGradient = reduction(({ context, dY, x, axes }) => expandLike(context, dY, x, axes))

export const reduceMeanGradient = reduction(({ context, dY, x, axes, call }) => {
  const { emitter, typeOf } = context
  const dtype = floatOf(context)
  const sizes = axes.map(axis => typeOf(x).shape[axis])
  if (sizes.every(size => typeof size === 'number')) {
    const count = emitter.scalar(
      dtype,
      sizes.reduce<number>((product, size) => product * Number(size), 1),
    )
    return expandLike(context, call('Div', dY, count), x, axes)
  }
  const count = call('Div', call('Size', x), call('Size', dY))
  return expandLike(context, call('Div', dY, emitter.emit('Cast', [count], { to: castTarget[dtype] })), x, axes)
})

/** ReduceMax and ReduceMin: elements that tie share the gradient equally. */
export const reduceExtremumGradient = reduction(({ context, dY, y, x, axes, call }) => {
  const { emitter } = context
  const winners = emitter.emit('Cast', [call('Equal', x, y())], { to: castTarget[floatOf(context)] })
  const ties = emitter.emit('ReduceSum', [winners, emitter.int64s(axes)], { keepdims: 1 })
  return call('Mul', winners, call('Div', dY, ties))
})

/** x/‖x‖·dY, and 0 where the norm is. */
export const reduceL2Gradient = reduction(({ context, dY, y, x, call }) => {
  const { emitter } = context
  const dtype = floatOf(context)
  const norm = y()
  const isZero = call('Equal', norm, emitter.scalar(dtype, 0))
  return call('Mul', x, call('Div', dY, call('Where', isZero, emitter.scalar(dtype, 1), norm)))
})

export const reduceL1Gradient = reduction(({ dY, x, call }) => call('Mul', call('Sign', x), dY))

export const reduceSumSquareGradient = reduction(({ context, dY, x, call }) =>
  call('Mul', x, call('Mul', dY, context.emitter.scalar(floatOf(context), 2))),
)

export const reduceLogSumExpGradient = reduction(({ dY, y, x, call }) =>
  call('Mul', call('Exp', call('Sub', x, y())), dY),
)
