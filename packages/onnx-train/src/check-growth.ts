import { type Graph, intsAttribute, type Node, nodeLabel } from './graph.ts'
import { OnnxModelError } from './onnx-model-error.ts'
import type { Tensor } from './tensor.ts'

/** Attributes of sliding windows; no network for a device slides more than a few hundred pixels. */
const windowAttributes = ['dilations', 'kernel_shape', 'output_padding', 'output_shape', 'pads', 'strides']
const maxWindowSize = 4096

/** By how many elements, or how many times, one node may enlarge what it reads. */
const maxGrowth = 2 ** 24

/** Inputs that say how large a result is: operator, input, and what the number 1 there adds to or multiplies with. */
const growing: ReadonlyMap<string, readonly { readonly input: number; readonly offset: 0 | 1 }[]> = new Map([
  ['ConstantOfShape', [{ input: 0, offset: 0 }]],
  ['Expand', [{ input: 1, offset: 0 }]],
  ['OneHot', [{ input: 1, offset: 0 }]],
  ['Pad', [{ input: 1, offset: 1 }]],
  ['Range', [{ input: 1, offset: 0 }]],
  [
    'Resize',
    [
      { input: 2, offset: 0 },
      { input: 3, offset: 0 },
    ],
  ],
  ['Tile', [{ input: 1, offset: 0 }]],
])

/** Inputs whose elements become elements of the result, by operator: how sizes are put together of constants and shapes. */
const carried: ReadonlyMap<string, 'all' | 'first'> = new Map([
  ['Add', 'all'],
  ['Cast', 'first'],
  ['Concat', 'all'],
  ['Gather', 'first'],
  ['Identity', 'first'],
  ['Mul', 'all'],
  ['Reshape', 'first'],
  ['Slice', 'first'],
  ['Squeeze', 'first'],
  ['Unsqueeze', 'first'],
  ['Where', 'all'],
])

/**
 * Refuses, before anything runs, nodes whose constants would make a small input enormous: running the graph is how shapes
 * are learnt, and a damaged number must not exhaust the machine. Throws MALFORMED naming the node.
 */
export const checkGrowth = ({ nodes, constants }: Graph): void => {
  const parts = new Map<string, number>()
  /** The largest number that a value can be seen to be put together of. */
  const largestPart = (name: string): number => {
    const constant = constants.get(name)
    return constant === undefined ? (parts.get(name) ?? 1) : largestOf(constant)
  }
  for (const node of nodes) {
    for (const name of windowAttributes) {
      const values = intsAttribute(node, name) ?? []
      if (values.some(value => value < 0 || value > maxWindowSize)) refuse(node, name)
      if (name === 'pads' && growthOf(values, 1) > maxGrowth) refuse(node, name)
    }
    for (const { input, offset } of growing.get(node.op) ?? []) {
      const name = node.inputs[input] ?? ''
      const constant = constants.get(name)
      const growth = constant === undefined ? largestPart(name) : growthOf(numbersOf(constant), offset)
      if (growth > maxGrowth) refuse(node, 'sizes')
    }
    if (node.op.startsWith('Random') && growthOf(intsAttribute(node, 'shape') ?? [], 0) > maxGrowth) {
      refuse(node, 'sizes')
    }
    const sources = carried.get(node.op)
    if (sources === undefined) continue
    const largest = (sources === 'all' ? node.inputs : node.inputs.slice(0, 1)).map(largestPart)
    for (const output of node.outputs) parts.set(output, Math.max(1, ...largest))
  }
}

const growthOf = (values: readonly number[], offset: 0 | 1): number =>
  values.reduce((product, value) => product * Math.max(1, Math.abs(value) + offset), 1)

/** Sizes are few; of longer lists nothing is said. */
const largestOf = ({ data }: Tensor): number =>
  data.length > 64 ? 1 : Math.max(1, ...Array.from(data, Number).map(Math.abs))

const numbersOf = ({ data }: Tensor): number[] =>
  data.length > 64 ? [Number.POSITIVE_INFINITY] : Array.from(data, Number)

const refuse = (node: Node, what: string): never => {
  throw new OnnxModelError(
    'MALFORMED',
    `${node.op} has ${what} beyond any use`,
    'Export the model again; the node is damaged.',
    { nodeName: nodeLabel(node) },
  )
}
