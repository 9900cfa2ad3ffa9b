import type { Attribute, Node } from '../graph.ts'
import { isRandom } from '../seed-random.ts'
import { renameInputs } from './rename-inputs.ts'

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
  if (isRandom(node) || attributes.some(([, value]) => isOpaque(value))) return undefined
  return JSON.stringify([node.op, node.inputs, node.outputs.map(name => name !== ''), attributes], exactNumber)
}

/** JSON writes -0 as 0 and every number that is not finite as null. */
const exactNumber = (_: string, value: unknown): unknown =>
  typeof value === 'number' && (Object.is(value, -0) || !Number.isFinite(value))
    ? `number ${Object.is(value, -0) ? '-0' : value}`
    : value

const isOpaque = (attribute: Attribute): boolean => 'tensor' in attribute || 'graph' in attribute
