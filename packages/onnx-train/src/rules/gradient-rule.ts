import type { Emitter } from '../emitter.ts'
import type { Node } from '../graph.ts'
import type { ValueType } from '../values.ts'

/** What a gradient rule sees of the graph around its node. */
export type GradientContext = {
  readonly node: Node
  readonly emitter: Emitter
  /** Name of the gradient of the loss with respect to the node's first output. */
  readonly outputGradient: string
  /** The same for every output; undefined where the loss does not depend on it. For operators with several outputs. */
  readonly outputGradients: readonly (string | undefined)[]
  /** Dtype, shape and, where it is one, constant of a forward value. */
  readonly typeOf: (name: string) => ValueType
  /** Name of the number of examples, a scalar of the loss' dtype; undefined where it is not known. */
  readonly batchSize: string | undefined
  /** Whether anybody wants the gradient of this input; rules skip work for those that nobody wants. */
  readonly wants: (inputIndex: number) => boolean
}

/**
 * Emits the nodes that carry a gradient back through one operator: names of the gradients by input position, undefined
 * where none is wanted. Throws OPERATOR_FORM_UNSUPPORTED for forms of the operator that it does not handle.
 */
export type GradientRule = (context: GradientContext) => readonly (string | undefined)[]

/** The float dtype that a node computes in. */
export const floatOf = ({ node, typeOf }: Pick<GradientContext, 'node' | 'typeOf'>): 'float32' | 'float64' =>
  typeOf(node.outputs.find(name => name !== '') ?? '').dtype === 'float64' ? 'float64' : 'float32'
