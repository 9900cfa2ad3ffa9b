import { Emitter } from '../emitter.ts'
import { type Graph, inputAt, intAttribute, type Node, onlyOutput } from '../graph.ts'
import type { Tensor } from '../tensor.ts'

/**
 * SequenceAt of a SplitToSequence becomes a Slice, which is how the newer PyTorch exporter writes chunk and split: the
 * runtime can return tensors only, and sequences have no gradients. What cannot be rewritten stays as it is.
 */
export const sliceSequences = (graph: Graph): Graph => {
  const splits = new Map(graph.nodes.filter(({ op }) => op === 'SplitToSequence').map(node => [onlyOutput(node), node]))
  if (splits.size === 0) return graph
  const names = graph.nodes.flatMap(({ inputs, outputs }) => [...inputs, ...outputs])
  const emitter = new Emitter([...names, ...graph.inputs.map(({ name }) => name), ...graph.constants.keys()])
  for (const node of graph.nodes) {
    const split = node.op === 'SequenceAt' ? splits.get(node.inputs[0] ?? '') : undefined
    const bounds = split === undefined ? undefined : boundsOf(split, node, graph.constants)
    if (split === undefined || bounds === undefined) emitter.nodes.push(node)
    else emitSlice(emitter, node, split, bounds)
  }
  const read = new Set([...emitter.nodes.flatMap(({ inputs }) => inputs), ...graph.outputs.map(({ name }) => name)])
  return {
    ...graph,
    nodes: emitter.nodes.filter(node => !splits.has(onlyOutput(node)) || read.has(onlyOutput(node))),
    constants: new Map([...graph.constants, ...emitter.constants]),
  }
}

/** Where a part begins and ends; undefined where that is not constant. */
const boundsOf = (
  split: Node,
  at: Node,
  constants: ReadonlyMap<string, Tensor>,
): readonly [number, number] | undefined => {
  const index = Number(constants.get(at.inputs[1] ?? '')?.data[0] ?? Number.NaN)
  const given = inputAt(split, 1)
  const sizes = given === undefined ? undefined : constants.get(given)
  if (!Number.isInteger(index) || (given !== undefined && sizes === undefined)) return undefined
  if (sizes === undefined || sizes.shape.length === 0) {
    const size = sizes === undefined ? 1 : Number(sizes.data[0])
    return index < 0 || size < 1 ? undefined : [index * size, (index + 1) * size]
  }
  const list = Array.from(sizes.data, Number)
  const part = index < 0 ? index + list.length : index
  const size = list[part]
  if (size === undefined) return undefined
  const start = list.slice(0, part).reduce((sum, each) => sum + each, 0)
  return [start, start + size]
}

const emitSlice = (emitter: Emitter, node: Node, split: Node, [start, end]: readonly [number, number]): void => {
  const axis = emitter.int64s([intAttribute(split, 'axis', 0)])
  const inputs = [split.inputs[0] ?? '', emitter.int64s([start]), emitter.int64s([end]), axis]
  const isSqueezed = inputAt(split, 1) === undefined && intAttribute(split, 'keepdims', 1) === 0
  if (isSqueezed) emitter.define(node.outputs, 'Squeeze', [emitter.call('Slice', ...inputs), axis])
  else emitter.define(node.outputs, 'Slice', inputs)
}
