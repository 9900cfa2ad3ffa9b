import { inputAt, type Node } from '../graph.ts'
import { isRecurrent } from '../rules/recurrent-form.ts'
import type { Tensor } from '../tensor.ts'
import type { ValueType } from '../values.ts'

/** Positions of the initial hidden and cell state. */
const states = [5, 6]

/** Leaves out initial states that are zeros, which is what their absence means. */
export const dropZeroStates = (nodes: readonly Node[], values: ReadonlyMap<string, ValueType>): Node[] => {
  const producers = new Map(nodes.flatMap(node => node.outputs.map((name): [string, Node] => [name, node])))
  const isZero = (name: string): boolean => {
    const constant = values.get(name)?.constant
    if (constant !== undefined) return isZeroTensor(constant)
    const producer = producers.get(name)
    if (producer === undefined) return false
    if (producer.op === 'Expand') return isZero(producer.inputs[0] ?? '')
    if (producer.op !== 'ConstantOfShape') return false
    const value = producer.attributes.get('value')
    return value === undefined || ('tensor' in value && isZeroTensor(value.tensor))
  }
  return nodes.map(node => {
    if (!isRecurrent(node)) return node
    const inputs = node.inputs.map((name, index) => (states.includes(index) && isZero(name) ? '' : name))
    while (inputAt({ ...node, inputs }, inputs.length - 1) === undefined) inputs.pop()
    return { ...node, inputs }
  })
}

const isZeroTensor = ({ data }: Tensor): boolean => Array.from(data, Number).every(element => element === 0)
