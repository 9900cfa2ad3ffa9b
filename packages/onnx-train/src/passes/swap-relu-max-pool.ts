import { countUses, type Node, onlyOutput } from '../graph.ts'

/**
 * MaxPool(Relu(x)) becomes Relu(MaxPool(x)): the same values (both are monotone), but Relu and its mask work on the
 * pooled, several times smaller tensor, and plateaus of zeros no longer make ties inside a window.
 */
export const swapReluAndMaxPool = (nodes: readonly Node[], results: readonly string[]): Node[] => {
  const uses = countUses(nodes, results)
  const relus = new Map(nodes.filter(({ op }) => op === 'Relu').map(node => [onlyOutput(node), node]))
  const swapped = new Set<Node>()
  const rewritten = nodes.flatMap(node => {
    const relu = node.op === 'MaxPool' && node.outputs.length === 1 ? relus.get(node.inputs[0] ?? '') : undefined
    if (relu === undefined || uses.get(onlyOutput(relu)) !== 1) return [node]
    swapped.add(relu)
    // The relu's old output name is free once it moved, so it names the pooled value before it.
    const pooled = onlyOutput(relu)
    return [
      { ...node, inputs: relu.inputs, outputs: [pooled] },
      { ...relu, inputs: [pooled], outputs: node.outputs },
    ]
  })
  return rewritten.filter(node => !swapped.has(node))
}
