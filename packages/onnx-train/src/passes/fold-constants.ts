import type { Graph } from '../graph.ts'
import type { ValueType } from '../values.ts'

/**
 * Replaces every node all of whose results are known as constants: shape arithmetic is done once, while compiling, and
 * not in every step.
 */
export const foldConstants = (graph: Graph, values: ReadonlyMap<string, ValueType>): Graph => {
  const constants = new Map(graph.constants)
  const results = new Set(graph.outputs.map(({ name }) => name))
  const nodes = graph.nodes.filter(({ outputs }) => {
    const known = outputs.map(name => values.get(name)?.constant)
    if (known.some(tensor => tensor === undefined) || outputs.some(name => results.has(name))) return true
    for (const [index, name] of outputs.entries()) {
      const tensor = known[index]
      if (tensor !== undefined) constants.set(name, tensor)
    }
    return false
  })
  const read = new Set([...nodes.flatMap(({ inputs }) => inputs), ...results])
  return { ...graph, nodes, constants: new Map([...constants].filter(([name]) => read.has(name))) }
}
