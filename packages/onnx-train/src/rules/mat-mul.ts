import { onlyOutput } from '../graph.ts'
import { gemmGradient } from './gemm.ts'
import type { GradientContext, GradientRule } from './gradient-rule.ts'
import { reduceToShape, reshapeLike } from './reduce-to-shape.ts'

/** MatMul of any ranks: dA = dY·Bᵀ, dB = Aᵀ·dY, summed over the axes along which an operand was repeated. */
export const matMulGradient: GradientRule = context => {
  const { node, typeOf } = context
  const [a = 0, b = 0] = node.inputs.map(name => typeOf(name).shape.length)
  if (a === 2 && b === 2) return gemmGradient({ ...context, node: { ...node, attributes: new Map() } })
  const isFixed = typeOf(node.inputs[1] ?? '').shape.every(size => typeof size === 'number')
  if (a > 2 && b === 2 && isFixed) return rowsTimesMatrix(context)
  return batchedProducts(context)
}

/** All rows of all leading axes meet one matrix of fixed size: two products of matrices, which no other form matches in speed. */
const rowsTimesMatrix = (context: GradientContext): readonly (string | undefined)[] => {
  const { node, emitter, typeOf, wants } = context
  const [a = '', b = ''] = node.inputs
  const rows = (value: string, columns: number): string => emitter.call('Reshape', value, emitter.int64s([-1, columns]))
  const [inner, outer] = typeOf(b).shape.map(Number) as [number, number]
  const dY = rows(context.outputGradient, outer)
  return [
    wants(0) ? reshapeLike(context, emitter.emit('Gemm', [dY, b], { transB: 1 }), a) : undefined,
    wants(1) ? emitter.emit('Gemm', [rows(a, inner), dY], { transA: 1 }) : undefined,
  ]
}

const batchedProducts = (context: GradientContext): readonly (string | undefined)[] => {
  const { node, emitter, typeOf, wants } = context
  const [a = '', b = ''] = node.inputs
  const [shapeA, shapeB] = [typeOf(a).shape, typeOf(b).shape]
  const output = [...typeOf(onlyOutput(node)).shape]
  // A vector is a matrix of one row on the left and of one column on the right; the product lacks that axis.
  const unsqueeze = (value: string, axis: number): string => emitter.emit('Unsqueeze', [value, emitter.int64s([axis])])
  const [left, matrixA] = shapeA.length === 1 ? [unsqueeze(a, 0), [1, ...shapeA]] : [a, shapeA]
  const [right, matrixB] = shapeB.length === 1 ? [unsqueeze(b, 1), [...shapeB, 1]] : [b, shapeB]
  let dY = context.outputGradient
  if (shapeB.length === 1) {
    output.push(1)
    dY = unsqueeze(dY, -1)
  }
  if (shapeA.length === 1) {
    output.splice(-1, 0, 1)
    dY = unsqueeze(dY, -2)
  }
  const transpose = (value: string, rank: number): string => {
    const perm = Array.from({ length: rank }, (_, axis) => axis)
    return emitter.emit('Transpose', [value], { perm: [...perm.slice(0, -2), rank - 1, rank - 2] })
  }
  const gradientOf = (product: string, shape: typeof shapeA, matrix: typeof shapeA, name: string): string => {
    const from = [...output.slice(0, -2), ...matrix.slice(-2)]
    const sum = reduceToShape(context, product, from, matrix)
    return shape.length === 1 ? reshapeLike(context, sum, name) : sum
  }
  return [
    wants(0) ? gradientOf(emitter.call('MatMul', dY, transpose(right, matrixB.length)), shapeA, matrixA, a) : undefined,
    wants(1) ? gradientOf(emitter.call('MatMul', transpose(left, matrixA.length), dY), shapeB, matrixB, b) : undefined,
  ]
}
