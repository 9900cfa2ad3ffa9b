import { castTarget } from '../onnx-types.ts'
import type { Size } from '../values.ts'
import { floatOf, type GradientContext } from './gradient-rule.ts'

/**
 * Σ over the rows of a matrix [rows, C], as a vector [C]: a row of ones times the matrix, which the runtime computes
 * several times faster than ReduceSum where rows are many (160 × 32: 0.4 instead of 2.2 µs). The ones depend on the
 * batch's size only, so they are shared, and made once for a whole loop.
 */
export const sumOfRows = (context: GradientContext, matrix: string, rows: Size): string => {
  const { emitter, batchSize } = context
  if (batchSize === undefined || typeof rows !== 'object') {
    return emitter.emit('ReduceSum', [matrix, emitter.int64s([0])], { keepdims: 0 })
  }
  const batch = emitter.emit('Cast', [batchSize], { to: castTarget.int64 })
  const count = emitter.call('Mul', batch, emitter.int64s([rows.perExample]))
  const shape = emitter.emit('Concat', [emitter.int64s([1]), count], { axis: 0 })
  const ones = emitter.call('Expand', emitter.scalar(floatOf(context), 1), shape)
  return emitter.call('Reshape', emitter.call('Gemm', ones, matrix), emitter.int64s([-1]))
}
