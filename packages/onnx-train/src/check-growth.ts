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
  ['Pad', [{ input: 1, offset: 1 }]],
  [
    'Resize',
    [
      { input: 2, offset: 0 },
      { input: 3, offset: 0 },
    ],
  ],
  ['Tile', [{ input: 1, offset: 0 }]],
])

/**
 * Refuses, before anything runs, nodes whose constants would make a small input enormous: running the graph is how shapes
 * are learnt, and a damaged number must not exhaust the machine. Throws MALFORMED naming the node.
 */
export const checkGrowth = ({ nodes, constants }: Graph): void => {
  for (const node of nodes) {
    for (const name of windowAttributes) {
      const values = intsAttribute(node, name) ?? []
      if (values.some(value => value < 0 || value > maxWindowSize)) refuse(node, name)
      if (name === 'pads' && growthOf(values, 1) > maxGrowth) refuse(node, name)
    }
    for (const { input, offset } of growing.get(node.op) ?? []) {
      const constant = constants.get(node.inputs[input] ?? '')
      if (constant !== undefined && growthOf(numbersOf(constant), offset) > maxGrowth) refuse(node, 'sizes')
    }
  }
}

const growthOf = (values: readonly number[], offset: 0 | 1): number =>
  values.reduce((product, value) => product * Math.max(1, Math.abs(value) + offset), 1)

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
