import type { Emitter } from './emitter.ts'
import { type Node, nodeLabel } from './graph.ts'
import { OnnxModelError, shorten } from './onnx-model-error.ts'
import { gradientRules } from './rules/gradient-rules.ts'
import type { ValueType } from './values.ts'

export type Differentiation = {
  readonly nodes: readonly Node[]
  readonly values: ReadonlyMap<string, ValueType>
  /** Values whose gradients are asked for. */
  readonly parameters: readonly string[]
  /** The value that gradients start from, and the name of its gradient. */
  readonly output: string
  readonly seed: string
}

/**
 * Reverse-mode differentiation: emits gradient nodes and returns the gradient's name by parameter (absent where the
 * output does not depend on it). Nodes that lie on no path from a parameter to the output need no rule.
 * Throws OPERATOR_UNSUPPORTED naming the node, and what rules throw.
 */
export const differentiate = (emitter: Emitter, task: Differentiation): Map<string, string> => {
  const dependent = new Set(task.parameters)
  for (const node of task.nodes) {
    if (node.inputs.some(name => dependent.has(name))) for (const output of node.outputs) dependent.add(output)
  }
  const contributions = new Map<string, string[]>([[task.output, [task.seed]]])
  const total = (name: string): string | undefined => {
    const parts = contributions.get(name) ?? []
    return parts.length > 1 ? emitter.emit('Sum', parts) : parts[0]
  }
  for (const node of task.nodes.toReversed()) {
    const outputGradient = dependent.has(node.outputs[0] ?? '') ? total(node.outputs[0] ?? '') : undefined
    refuseSideOutputs(node, contributions)
    if (outputGradient === undefined) continue
    const gradients = ruleOf(node)({
      node,
      emitter,
      outputGradient,
      typeOf: name => typeOf(task.values, name),
      wants: index => dependent.has(node.inputs[index] ?? ''),
    })
    gradients.forEach((gradient, index) => {
      const input = node.inputs[index]
      if (gradient === undefined || input === undefined || !dependent.has(input)) return
      contributions.set(input, [...(contributions.get(input) ?? []), gradient])
    })
  }
  const found = task.parameters.map((name): [string, string | undefined] => [name, total(name)])
  return new Map(found.filter((entry): entry is [string, string] => entry[1] !== undefined))
}

const ruleOf = (node: Node) => {
  const rule = gradientRules.get(node.op)
  if (rule !== undefined) return rule
  throw new OnnxModelError(
    'OPERATOR_UNSUPPORTED',
    `No gradient is known for operator ${shorten(node.op)}`,
    `Rewrite that part of the model with ${[...gradientRules.keys()].join(', ')}, or train it in the Python worker.`,
    { nodeName: nodeLabel(node) },
  )
}

const refuseSideOutputs = (node: Node, contributions: ReadonlyMap<string, readonly string[]>): void => {
  if (!node.outputs.slice(1).some(name => contributions.has(name))) return
  throw new OnnxModelError(
    'OPERATOR_FORM_UNSUPPORTED',
    `The loss depends on the second output of ${shorten(node.op)}`,
    'Only first outputs are differentiable.',
    { nodeName: nodeLabel(node) },
  )
}

const typeOf = (values: ReadonlyMap<string, ValueType>, name: string): ValueType => {
  const value = values.get(name)
  if (value !== undefined) return value
  throw new OnnxModelError('SHAPES_UNKNOWN', `The shape of "${shorten(name)}" is not known`, 'Export the model again.')
}
