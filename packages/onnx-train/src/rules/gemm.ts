import { floatAttribute, inputAt, intAttribute } from '../graph.ts'
import type { GradientRule } from './gradient-rule.ts'
import { reduceToShape } from './reduce-to-shape.ts'

/** Y = α·A'B' + β·C with A' and B' possibly transposed: dA' = α·dY·B'ᵀ, dB' = α·A'ᵀ·dY, dC = β·ΣdY. */
export const gemmGradient: GradientRule = context => {
  const { node, emitter, outputGradient: dY } = context
  const [a = '', b = ''] = node.inputs
  const transA = intAttribute(node, 'transA', 0)
  const transB = intAttribute(node, 'transB', 0)
  const alpha = floatAttribute(node, 'alpha', 1)
  const product = (left: string, right: string, transLeft: number, transRight: number): string =>
    emitter.emit('Gemm', [left, right], {
      alpha: { float: alpha },
      transA: transLeft,
      transB: transRight,
    })
  const dA = () => (transA === 0 ? product(dY, b, 0, 1 - transB) : product(b, dY, transB, 1))
  const dB = () => (transB === 0 ? product(a, dY, 1 - transA, 0) : product(dY, a, 1, transA))
  const dC = () => {
    const c = inputAt(node, 2)
    if (c === undefined) return undefined
    const beta = floatAttribute(node, 'beta', 1)
    const sum = reduceToShape(context, dY, context.typeOf(node.outputs[0] ?? '').shape, context.typeOf(c).shape)
    if (beta === 1) return sum
    const dtype = context.typeOf(c).dtype === 'float64' ? 'float64' : 'float32'
    return emitter.emit('Mul', [sum, emitter.scalar(dtype, beta)])
  }
  return [context.wants(0) ? dA() : undefined, context.wants(1) ? dB() : undefined, context.wants(2) ? dC() : undefined]
}
