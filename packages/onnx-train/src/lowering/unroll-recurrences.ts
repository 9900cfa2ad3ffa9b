import { Emitter } from '../emitter.ts'
import type { Graph, Node } from '../graph.ts'
import type { ValueType } from '../values.ts'
import { emitGru } from './gru.ts'
import { emitLstm } from './lstm.ts'

type Unroll = (node: Node, emitter: Emitter, values: ReadonlyMap<string, ValueType>) => void

const unrolls: ReadonlyMap<string, Unroll> = new Map([
  ['GRU', emitGru],
  ['LSTM', emitLstm],
])

/**
 * The graph with every recurrent layer written out step by step, or the same graph where it has none: the runtime has no
 * kernel for their gradients, and its small products in a row are fast. Throws OPERATOR_FORM_UNSUPPORTED.
 */
export const unrollRecurrences = (graph: Graph, values: ReadonlyMap<string, ValueType>): Graph => {
  if (!graph.nodes.some(({ op }) => unrolls.has(op))) return graph
  const emitter = new Emitter([...values.keys(), ...graph.inputs.map(({ name }) => name)])
  for (const node of graph.nodes) {
    const unroll = unrolls.get(node.op)
    if (unroll === undefined) emitter.nodes.push(node)
    else unroll(node, emitter, values)
  }
  return { ...graph, nodes: [...emitter.nodes], constants: new Map([...graph.constants, ...emitter.constants]) }
}
