import { inputAt, type Node } from '../graph.ts'
import { renameInputs } from '../passes/rename-inputs.ts'
import type { ValueType } from '../values.ts'

/**
 * Takes out every Dropout that drops nothing: with a ratio of 0, or out of training. Nodes that write one of `results`, or
 * whose mask is read, stay.
 */
export const dropIdleDropout = (
  nodes: readonly Node[],
  values: ReadonlyMap<string, ValueType>,
  results: readonly string[],
): Node[] => {
  const read = new Set([...nodes.flatMap(({ inputs }) => inputs), ...results])
  const renamed = new Map<string, string>()
  return nodes.flatMap(original => {
    const node = renameInputs(original, renamed)
    const [output = '', mask = ''] = node.outputs
    if (node.op !== 'Dropout' || read.has(mask) || results.includes(output) || !isIdle(node, values)) return [node]
    renamed.set(output, node.inputs[0] ?? '')
    return []
  })
}

const isIdle = (node: Node, values: ReadonlyMap<string, ValueType>): boolean => {
  const only = (index: number): number | undefined => {
    const element = values.get(inputAt(node, index) ?? '')?.constant?.data[0]
    return element === undefined ? undefined : Number(element)
  }
  return only(1) === 0 || inputAt(node, 2) === undefined || only(2) === 0
}
