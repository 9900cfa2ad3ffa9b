import { intsAttribute, type Node, onlyOutput } from '../graph.ts'
import type { Tensor } from '../tensor.ts'
import { renameInputs } from './rename-inputs.ts'

/** Operators that only give a value another shape. */
const reshaping = new Set(['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze'])

/**
 * Makes one movement of two in a row: Transposes compose, and vanish where nothing moves; a Reshape to a constant shape
 * does not care what shape its operand had before; Squeeze undoes Unsqueeze and the reverse. What was between them goes
 * with the dead code. Nodes that write one of `results` stay.
 */
export const mergeMovements = (
  nodes: readonly Node[],
  constants: ReadonlyMap<string, Tensor>,
  results: readonly string[],
): Node[] => {
  const fixed = new Set(results)
  const renamed = new Map<string, string>()
  const producers = new Map<string, Node>()
  const merged = nodes.flatMap(original => {
    const found = mergeWith(renameInputs(original, renamed), producers, constants)
    const output = onlyOutput(original)
    if (typeof found === 'string' && !fixed.has(output)) {
      renamed.set(output, found)
      return []
    }
    const node = typeof found === 'string' ? renameInputs(original, renamed) : found
    producers.set(output, node)
    return [node]
  })
  return merged
}

/** The node that does both movements, or the name of the value that it leaves as it was. */
const mergeWith = (
  node: Node,
  producers: ReadonlyMap<string, Node>,
  constants: ReadonlyMap<string, Tensor>,
): Node | string => {
  const [value = '', operand = ''] = node.inputs
  const before = producers.get(value)
  if (node.op === 'Transpose') {
    const perm = intsAttribute(node, 'perm')
    if (perm?.every((axis, index) => axis === index)) return value
    const first = before?.op === 'Transpose' ? intsAttribute(before, 'perm') : undefined
    if (before === undefined || perm === undefined || first === undefined) return node
    const both = perm.map(axis => first[axis] ?? -1)
    const source = before.inputs[0] ?? ''
    if (both.every((axis, index) => axis === index)) return source
    return { ...node, inputs: [source], attributes: new Map([['perm', { ints: both }]]) }
  }
  if (before === undefined || !reshaping.has(before.op) || !reshaping.has(node.op)) return node
  const source = before.inputs[0] ?? ''
  const isInverse = node.op === inverses.get(before.op) && operand !== '' && operand === before.inputs[1]
  if (isInverse) return source
  const target = constants.get(operand)
  const isAbsolute = node.op === 'Reshape' && target !== undefined && !Array.from(target.data, Number).includes(0)
  return isAbsolute ? { ...node, inputs: [source, operand] } : node
}

const inverses: ReadonlyMap<string, string> = new Map([
  ['Squeeze', 'Unsqueeze'],
  ['Unsqueeze', 'Squeeze'],
])
