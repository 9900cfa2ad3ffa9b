import type { Graph } from './graph.ts'

/**
 * The graph as it predicts: BatchNormalization with its running statistics, Dropout passing everything. Exports made for
 * training have these flags baked in.
 */
export const evaluationMode = (graph: Graph): Graph => ({
  ...graph,
  nodes: graph.nodes.map(node => {
    if (node.op === 'BatchNormalization') {
      const attributes = new Map([...node.attributes].filter(([name]) => name !== 'training_mode'))
      return { ...node, outputs: node.outputs.slice(0, 1), attributes }
    }
    if (node.op !== 'Dropout') return node
    return {
      ...node,
      op: 'Identity',
      inputs: node.inputs.slice(0, 1),
      outputs: node.outputs.slice(0, 1),
      attributes: new Map(),
    }
  }),
})
