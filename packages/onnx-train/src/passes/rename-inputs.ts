import type { Node } from '../graph.ts'

/** The node with every input that has a new name called by it. */
export const renameInputs = (node: Node, renamed: ReadonlyMap<string, string>): Node =>
  node.inputs.some(name => renamed.has(name))
    ? { ...node, inputs: node.inputs.map(name => renamed.get(name) ?? name) }
    : node
