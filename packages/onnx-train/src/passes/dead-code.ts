import type { Node } from '../graph.ts'

/** Drops nodes whose outputs nobody reads, directly or indirectly, for `results`. */
export const dropDeadCode = (nodes: readonly Node[], results: readonly string[]): Node[] => {
  const wanted = new Set(results)
  const kept: Node[] = []
  for (const node of nodes.toReversed()) {
    if (!node.outputs.some(name => wanted.has(name))) continue
    for (const input of node.inputs) wanted.add(input)
    kept.push(node)
  }
  return kept.reverse()
}
