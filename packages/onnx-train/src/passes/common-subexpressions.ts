import type { Attribute, Node } from '../graph.ts'
import { renameInputs } from './rename-inputs.ts'

/** Operators that give another result each time. */
const random = new Set([
  'RandomNormal',
  'RandomNormalLike',
  'RandomUniform',
  'RandomUniformLike',
  'Bernoulli',
  'Multinomial',
  'Dropout',
])

/**
 * Computes equal expressions once. Nodes that write one of `results` stay, since that name must exist.
 */
export const shareCommonSubexpressions = (nodes: readonly Node[], results: readonly string[]): Node[] => {
  const fixed = new Set(results)
  const renamed = new Map<string, string>()
  const seen = new Map<string, Node>()
  return nodes.flatMap(original => {
    const node = renameInputs(original, renamed)
    const key = keyOf(node)
    const twin = key === undefined ? undefined : seen.get(key)
    if (twin === undefined || node.outputs.some(name => fixed.has(name))) {
      if (key !== undefined && twin === undefined) seen.set(key, node)
      return [node]
    }
    node.outputs.forEach((name, index) => {
      renamed.set(name, twin.outputs[index] ?? name)
    })
    return []
  })
}

const keyOf = (node: Node): string | undefined => {
  const attributes = [...node.attributes].sort(([a], [b]) => (a < b ? -1 : 1))
  if (random.has(node.op) || attributes.some(([, value]) => isOpaque(value))) return undefined
  return JSON.stringify([node.op, node.inputs, node.outputs.map(name => name !== ''), attributes])
}

const isOpaque = (attribute: Attribute): boolean => 'tensor' in attribute || 'graph' in attribute
