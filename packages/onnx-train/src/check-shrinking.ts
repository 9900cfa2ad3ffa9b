import { type Graph, inputAt, type Node, nodeLabel } from './graph.ts'
import { OnnxModelError } from './onnx-model-error.ts'
import type { Tensor } from './tensor.ts'

/** Nodes of this kind that one graph may have; each costs a run of what comes before it. */
const maxShrinkingNodes = 64

/**
 * Refuses two nodes that end the whole process in onnxruntime 1.30 instead of failing, so that it never gets to run them:
 * a Slice backwards along an axis that is empty, and a Pad that cuts off more than there is. Where constants do not show
 * that a node is harmless, what comes before it is run on its own. Throws OPERATOR_FORM_UNSUPPORTED, MALFORMED.
 * @param run runs the nodes of a graph and resolves with values by name, those fed included
 */
export const checkShrinking = async (
  graph: Graph,
  run: (before: Graph, names: readonly string[]) => Promise<ReadonlyMap<string, Tensor>>,
): Promise<void> => {
  const doubtful = graph.nodes.flatMap((node, index) => (isHarmless(node, graph) ? [] : [{ node, index }]))
  if (doubtful.length > maxShrinkingNodes) {
    throw new OnnxModelError(
      'MALFORMED',
      `The graph slices backwards or pads by less than nothing in ${doubtful.length} places`,
      `Do so in at most ${maxShrinkingNodes}.`,
    )
  }
  for (const { node, index } of doubtful) {
    const before = { ...graph, nodes: graph.nodes.slice(0, index) }
    const produced = new Set(before.nodes.flatMap(({ outputs }) => outputs))
    const values = await run(
      before,
      node.inputs.filter(name => produced.has(name)),
    )
    const valueAt = (input: number): Tensor | undefined => {
      const name = inputAt(node, input) ?? ''
      return values.get(name) ?? graph.constants.get(name)
    }
    if (leavesSomething(node, valueAt)) continue
    throw new OnnxModelError(
      'OPERATOR_FORM_UNSUPPORTED',
      `${node.op} takes away more than there is`,
      'Check its starts, steps and pads.',
      { nodeName: nodeLabel(node) },
    )
  }
}

const isHarmless = (node: Node, { constants }: Graph): boolean => {
  const least = node.op === 'Slice' ? 1 : 0
  const name = node.op === 'Slice' ? inputAt(node, 4) : node.op === 'Pad' ? inputAt(node, 1) : undefined
  if (name === undefined) return true
  const constant = constants.get(name)
  return constant !== undefined && numbersOf(constant).every(value => value >= least)
}

const leavesSomething = (node: Node, valueAt: (input: number) => Tensor | undefined): boolean => {
  const shape = valueAt(0)?.shape
  if (shape === undefined) return false
  if (node.op === 'Slice') return !shape.includes(0)
  const pads = numbersOf(valueAt(1))
  const axes = valueAt(3) === undefined ? shape.map((_, axis) => axis) : numbersOf(valueAt(3))
  return axes.every((axis, index) => {
    const size = shape[axis < 0 ? axis + shape.length : axis] ?? 0
    const [begin = 0, end = 0] = [pads[index], pads[index + axes.length]]
    return size + Math.min(0, begin) + Math.min(0, end) >= 0
  })
}

const numbersOf = (tensor: Tensor | undefined): number[] =>
  tensor === undefined ? [] : Array.from(tensor.data, Number)
