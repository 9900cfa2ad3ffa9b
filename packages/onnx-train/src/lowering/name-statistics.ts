import { Emitter } from '../emitter.ts'
import { type Graph, intAttribute, type Node } from '../graph.ts'

/** A graph in which every output exists that a gradient or a running statistic is computed from. */
export type NamedStatistics = {
  readonly graph: Graph
  /** The updated value's name by running statistic. */
  readonly buffers: ReadonlyMap<string, string>
}

/** Operators with optional outputs that their gradients read: Dropout's mask, LayerNormalization's moments, all states of a recurrent layer. */
const outputsNeeded = new Map([
  ['BatchNormalization', 3],
  ['Dropout', 2],
  ['GRU', 1],
  ['LSTM', 1],
  ['LayerNormalization', 3],
])

/**
 * Names optional outputs that were left out, and takes a BatchNormalization whose running statistics are all `frozen` out
 * of training mode.
 */
export const nameStatistics = (graph: Graph, frozen: ReadonlySet<string>): NamedStatistics => {
  const names = graph.nodes.flatMap(({ inputs, outputs }) => [...inputs, ...outputs])
  const emitter = new Emitter([...names, ...graph.inputs.map(({ name }) => name), ...graph.constants.keys()])
  const buffers = new Map<string, string>()
  const nodes = graph.nodes.map(original => {
    const node = original.op === 'BatchNormalization' ? withMode(original, frozen) : original
    const needed = node.op === 'BatchNormalization' && !isTraining(node) ? 1 : outputsNeeded.get(node.op)
    if (needed === undefined) return node
    const outputs = Array.from(
      { length: Math.max(needed, node.outputs.length) },
      (_, index) => node.outputs[index] || (index < needed ? emitter.fresh(`${node.op}.side`) : ''),
    )
    if (node.op === 'BatchNormalization' && isTraining(node)) {
      const [, , , mean = '', variance = ''] = node.inputs
      buffers.set(mean, outputs[1] ?? '')
      buffers.set(variance, outputs[2] ?? '')
    }
    return { ...node, outputs }
  })
  return { graph: { ...graph, nodes }, buffers }
}

const isTraining = (node: Node): boolean => intAttribute(node, 'training_mode', 0) === 1

const withMode = (node: Node, frozen: ReadonlySet<string>): Node => {
  const statistics = node.inputs.slice(3, 5)
  if (!isTraining(node) || !statistics.every(name => frozen.has(name))) return node
  return {
    ...node,
    outputs: node.outputs.slice(0, 1),
    attributes: new Map([...node.attributes, ['training_mode', { int: 0 }]]),
  }
}
