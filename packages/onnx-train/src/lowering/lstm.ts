import type { Emitter } from '../emitter.ts'
import type { Node } from '../graph.ts'
import type { ValueType } from '../values.ts'
import { type CellFactory, emitRecurrence, readRecurrence } from './recurrence.ts'

/** Unrolls an LSTM (Hochreiter & Schmidhuber 1997) into primitives. Throws OPERATOR_FORM_UNSUPPORTED. */
export const emitLstm = (node: Node, emitter: Emitter, values: ReadonlyMap<string, ValueType>): void => {
  const recurrence = readRecurrence(node, emitter, values)
  const { hidden } = recurrence
  const split = (value: string, sizes: readonly number[]): string[] => {
    const parts = sizes.map(() => emitter.fresh('gates'))
    emitter.define(parts, 'Split', [value, emitter.int64s(sizes)], { axis: 1 })
    return parts
  }
  const factory: CellFactory = ({ r, biases }) => ({
    bias: biases === undefined ? undefined : emitter.call('Add', ...biases),
    cell: (inputs, [h = '', c = '']) => {
      const gates = emitter.emit('Gemm', [h, r, inputs], { transB: 1 })
      // ONNX orders the gates input, output, forget, cell; the first three are sigmoids and are computed together.
      const [open = '', candidate = ''] = split(gates, [3 * hidden, hidden])
      const [input = '', output = '', forget = ''] = split(emitter.call('Sigmoid', open), [hidden, hidden, hidden])
      const kept = emitter.call('Mul', forget, c)
      const next = emitter.call('Add', kept, emitter.call('Mul', input, emitter.call('Tanh', candidate)))
      return [emitter.call('Mul', output, emitter.call('Tanh', next)), next]
    },
  })
  emitRecurrence(recurrence, 2, factory)
}
