import type { Emitter } from '../emitter.ts'
import { intAttribute, type Node } from '../graph.ts'
import type { ValueType } from '../values.ts'
import { type CellFactory, emitRecurrence, readRecurrence } from './recurrence.ts'

/**
 * Unrolls a GRU (Cho et al. 2014) into primitives; with linear_before_reset the reset gate is applied after the hidden
 * state's product, as cuDNN, PyTorch and Keras have it. Throws OPERATOR_FORM_UNSUPPORTED.
 */
export const emitGru = (node: Node, emitter: Emitter, values: ReadonlyMap<string, ValueType>): void => {
  const recurrence = readRecurrence(node, emitter, values)
  const { hidden } = recurrence
  const split = (value: string, axis: number): [string, string] => {
    const parts: [string, string] = [emitter.fresh('gates'), emitter.fresh('gates')]
    emitter.define(parts, 'Split', [value, emitter.int64s([2 * hidden, hidden])], { axis })
    return parts
  }
  /** H = (1 − z)·n + z·H₋₁, with the gates z and r in one value. */
  const blend = (gates: string, h: string, candidateOf: (reset: string) => string): string => {
    const [update, reset]: [string, string] = [emitter.fresh('update'), emitter.fresh('reset')]
    emitter.define([update, reset], 'Split', [gates, emitter.int64s([hidden, hidden])], { axis: 1 })
    const candidate = candidateOf(reset)
    return emitter.call('Add', candidate, emitter.call('Mul', update, emitter.call('Sub', h, candidate)))
  }
  const resetAfter: CellFactory = ({ r, biases }) => ({
    bias: biases?.[0],
    cell: (inputs, [h = '']) => {
      const product = emitter.emit('Gemm', biases === undefined ? [h, r] : [h, r, biases[1]], { transB: 1 })
      const [inputGates, inputCandidate] = split(inputs, 1)
      const [hiddenGates, hiddenCandidate] = split(product, 1)
      const gates = emitter.call('Sigmoid', emitter.call('Add', inputGates, hiddenGates))
      const candidateOf = (reset: string): string =>
        emitter.call('Tanh', emitter.call('Add', inputCandidate, emitter.call('Mul', reset, hiddenCandidate)))
      return [blend(gates, h, candidateOf)]
    },
  })
  const resetBefore: CellFactory = ({ r, biases }) => {
    const [gatesMatrix, candidateMatrix] = split(r, 0)
    return {
      bias: biases === undefined ? undefined : emitter.call('Add', ...biases),
      cell: (inputs, [h = '']) => {
        const [inputGates, inputCandidate] = split(inputs, 1)
        const gates = emitter.call('Sigmoid', emitter.emit('Gemm', [h, gatesMatrix, inputGates], { transB: 1 }))
        const candidateOf = (reset: string): string => {
          const kept = emitter.call('Mul', reset, h)
          return emitter.call('Tanh', emitter.emit('Gemm', [kept, candidateMatrix, inputCandidate], { transB: 1 }))
        }
        return [blend(gates, h, candidateOf)]
      },
    }
  }
  emitRecurrence(recurrence, 1, intAttribute(node, 'linear_before_reset', 0) === 1 ? resetAfter : resetBefore)
}
