import type { Emitter } from '../emitter.ts'
import { inputAt, intAttribute, intsAttribute, type Node, stringAttribute } from '../graph.ts'
import { isRecurrent } from '../rules/recurrent-form.ts'
import type { ValueType } from '../values.ts'

type Values = Map<string, ValueType>

/**
 * What takes the last of all states of a recurrent layer of one direction reads the layer's last state instead, which is
 * an output of its own: the gradient of the others is not zeros then, but absent.
 */
export const readLastStates = (nodes: readonly Node[], emitter: Emitter, values: Values): Node[] => {
  const producers = new Map(nodes.flatMap(node => node.outputs.map((name): [string, Node] => [name, node])))
  const lasts = new Map<Node, string>()
  const rewritten = nodes.flatMap(node => {
    const layer = node.op === 'Gather' ? layerOfLast(node, producers, values) : undefined
    if (layer === undefined) return [node]
    const last = lasts.get(layer) ?? layer.outputs[1] ?? ''
    const name = last === '' ? emitter.fresh(`${layer.op}.last`) : last
    lasts.set(layer, name)
    const { dtype, shape } = values.get(layer.outputs[0] ?? '') as ValueType
    values.set(name, { dtype, shape: shape.slice(1) })
    return emitter.capture(() => emitter.define(node.outputs, 'Squeeze', [name, emitter.int64s([0])]))
  })
  return rewritten.map(node => {
    const last = lasts.get(node)
    return last === undefined ? node : { ...node, outputs: [node.outputs[0] ?? '', last, ...node.outputs.slice(2)] }
  })
}

/** The layer whose last state [B, H] a Gather takes, through any transposes and lost axes. */
const layerOfLast = (node: Node, producers: ReadonlyMap<string, Node>, values: Values): Node | undefined => {
  const [from = '', index = ''] = node.inputs
  const at = values.get(index)?.constant
  const rank = values.get(from)?.shape.length
  if (at === undefined || at.shape.length > 0 || rank === undefined) return undefined
  const chosen = intAttribute(node, 'axis', 0)
  /** Which axis of the value at hand each axis of the Gather's data is. */
  let axes = Array.from({ length: rank }, (_, axis) => axis)
  let source = from
  let layer = producers.get(source)
  while (layer !== undefined && !isRecurrent(layer)) {
    const back = axesBefore(layer, values)
    if (back === undefined) return undefined
    axes = axes.map(axis => back[axis] ?? -1)
    source = layer.inputs[0] ?? ''
    layer = producers.get(source)
  }
  const way = stringAttribute(layer ?? node, 'direction', 'forward')
  if (layer === undefined || way === 'bidirectional') return undefined
  const steps = values.get(layer.outputs[0] ?? '')?.shape[0]
  if (source !== layer.outputs[0] || typeof steps !== 'number') return undefined
  const time = axes.splice(chosen < 0 ? chosen + rank : chosen, 1)[0]
  const position = Number(at.data[0])
  const isLast = (position < 0 ? position + steps : position) === (way === 'reverse' ? 0 : steps - 1)
  // Time, direction, batch, hidden: what is left must be batch and hidden.
  return time === 0 && isLast && axes.join() === '2,3' ? layer : undefined
}

/** Which axis of a node's input each axis of its output is; undefined where the node does more than move axes. */
const axesBefore = (node: Node, values: Values): number[] | undefined => {
  const rank = values.get(node.inputs[0] ?? '')?.shape.length
  if (rank === undefined) return undefined
  const all = Array.from({ length: rank }, (_, axis) => axis)
  if (node.op === 'Transpose') return [...(intsAttribute(node, 'perm') ?? all.toReversed())]
  const lost = node.op === 'Squeeze' ? values.get(inputAt(node, 1) ?? '')?.constant : undefined
  if (lost === undefined) return undefined
  const axes = new Set(Array.from(lost.data, Number).map(axis => (axis < 0 ? axis + rank : axis)))
  return all.filter(axis => !axes.has(axis))
}
