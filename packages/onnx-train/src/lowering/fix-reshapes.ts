import type { Emitter } from '../emitter.ts'
import type { Node } from '../graph.ts'
import { staticShape } from '../static-shape.ts'
import type { ValueType } from '../values.ts'

/**
 * Gives every Reshape whose result varies along one axis at most a constant shape: exporters compute it anew in every
 * step, from the batch's size.
 */
export const fixReshapes = (nodes: readonly Node[], emitter: Emitter, values: ReadonlyMap<string, ValueType>): Node[] =>
  nodes.map(node => {
    if (node.op !== 'Reshape' || values.get(node.inputs[1] ?? '')?.constant !== undefined) return node
    const target = staticShape(values.get(node.outputs[0] ?? '')?.shape ?? ['unknown', 'unknown'])
    if (target === undefined) return node
    return { ...node, inputs: [node.inputs[0] ?? '', emitter.int64s(target)], attributes: new Map() }
  })
