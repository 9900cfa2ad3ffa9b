import type { Emitter } from '../emitter.ts'
import type { Node } from '../graph.ts'
import type { ValueType } from '../values.ts'

/** What a gradient rule sees of the graph around its node. */
export type GradientContext = {
  readonly node: Node
  readonly emitter: Emitter
  /** Name of the gradient of the loss with respect to the node's first output. */
  readonly outputGradient: string
  /** Dtype and shape of a forward value. */
  readonly typeOf: (name: string) => ValueType
  /** Whether anybody wants the gradient of this input; rules skip work for those that nobody wants. */
  readonly wants: (inputIndex: number) => boolean
}

/**
 * Emits the nodes that carry a gradient back through one operator: names of the gradients by input position, undefined
 * where none is wanted. Throws OPERATOR_FORM_UNSUPPORTED for forms of the operator that it does not handle.
 */
export type GradientRule = (context: GradientContext) => readonly (string | undefined)[]
