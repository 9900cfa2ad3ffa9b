import type { Emitter } from './emitter.ts'
import { type Node, nodeLabel } from './graph.ts'
import { OnnxModelError, shorten } from './onnx-model-error.ts'
import { gradientRules, manyOutputs } from './rules/gradient-rules.ts'
import type { ValueType } from './values.ts'

export type Differentiation = {
  readonly nodes: readonly Node[]
  readonly values: ReadonlyMap<string, ValueType>
  /** Values whose gradients are asked for. */
  readonly parameters: readonly string[]
  /** The value that gradients start from, and the name of its gradient. */
  readonly output: string
  readonly seed: string
  /** The number of examples, a float scalar, where there is such a value. */
  readonly batchSize?: string
}

/**
 * Reverse-mode differentiation: emits gradient nodes and returns the gradient's name by parameter (absent where the
 * output does not depend on it). Nodes that lie on no path from a parameter to the output need no rule, and neither do
 * those whose results are no floats (comparisons, casts to integers, shapes).
 * Throws OPERATOR_UNSUPPORTED naming the node, and what rules throw.
 */
export const differentiate = (emitter: Emitter, task: Differentiation): Map<string, string> => {
  const dependent = dependentValues(task)
  const contributions = new Map<string, string[]>([[task.output, [task.seed]]])
  const total = (name: string): string | undefined => {
    const parts = contributions.get(name) ?? []
    return parts.length > 1 ? emitter.emit('Sum', parts) : parts[0]
  }
  for (const node of task.nodes.toReversed()) {
    const outputGradients = node.outputs.map(name => (dependent.has(name) ? total(name) : undefined))
    if (outputGradients.every(gradient => gradient === undefined)) continue
    const rule = ruleOf(node)
    refuseHalfFloats(node, task.values)
    if (!manyOutputs.has(node.op)) refuseSideOutputs(node, outputGradients)
    const gradients = rule({
      node,
      emitter,
      outputGradient: outputGradients[0] ?? '',
      outputGradients,
      typeOf: name => typeOf(task.values, name),
      batchSize: task.batchSize,
      wants: index => dependent.has(node.inputs[index] ?? ''),
    })
    for (const [index, input] of node.inputs.entries()) {
      if (!dependent.has(input)) continue
      const gradient = gradients[index]
      if (gradient === undefined) refuseInput(node, index)
      else contributions.set(input, [...(contributions.get(input) ?? []), gradient])
    }
  }
  const found = task.parameters.map((name): [string, string | undefined] => [name, total(name)])
  return new Map(found.filter((entry): entry is [string, string] => entry[1] !== undefined))
}

/** Float values that change, however little, when a parameter changes a little. */
const dependentValues = ({ nodes, values, parameters }: Differentiation): Set<string> => {
  const dependent = new Set(parameters)
  for (const node of nodes) {
    if (!node.inputs.some(name => dependent.has(name))) continue
    for (const output of node.outputs) {
      const type = values.get(output)
      if (type?.constant === undefined && type?.dtype.startsWith('float')) dependent.add(output)
    }
  }
  return dependent
}

const ruleOf = (node: Node) => {
  const rule = gradientRules.get(node.op)
  if (rule !== undefined) return rule
  throw new OnnxModelError(
    'OPERATOR_UNSUPPORTED',
    `No gradient is known for operator ${shorten(node.op)}`,
    'Rewrite that part of the model with operators that this package lists as trainable, freeze what comes before it, or train in the Python worker.',
    { nodeName: nodeLabel(node) },
  )
}

/** Gradients are computed in float32 and float64; a Cast to something smaller and back passes them as they are. */
const refuseHalfFloats = (node: Node, values: Differentiation['values']): void => {
  const dtype: string = values.get(node.outputs.find(name => name !== '') ?? '')?.dtype ?? ''
  if (node.op === 'Cast' || node.op === 'CastLike' || !['float16', 'bfloat16'].includes(dtype)) return
  throw new OnnxModelError(
    'DTYPE_UNSUPPORTED',
    `${shorten(node.op)} computes in ${dtype}`,
    'Export the model in float32, without mixed precision.',
    { nodeName: nodeLabel(node) },
  )
}

/** Inputs that do not change the result, however they change: what lends its type, statistics that are only updated. */
const withoutEffect: ReadonlyMap<string, readonly number[]> = new Map([
  ['BatchNormalization', [3, 4]],
  ['CastLike', [1]],
])

/** A gradient that a rule does not know must not be taken for zero. */
const refuseInput = (node: Node, index: number): void => {
  if (withoutEffect.get(node.op)?.includes(index)) return
  throw new OnnxModelError(
    'OPERATOR_FORM_UNSUPPORTED',
    `The loss depends on input ${index + 1} of ${shorten(node.op)}, for which no gradient is known`,
    'Make it a constant.',
    { nodeName: nodeLabel(node) },
  )
}

const refuseSideOutputs = (node: Node, outputGradients: readonly (string | undefined)[]): void => {
  if (outputGradients.slice(1).every(gradient => gradient === undefined)) return
  throw new OnnxModelError(
    'OPERATOR_FORM_UNSUPPORTED',
    `The loss depends on the second output of ${shorten(node.op)}`,
    'Only its first output is differentiable; use that one.',
    { nodeName: nodeLabel(node) },
  )
}

const typeOf = (values: ReadonlyMap<string, ValueType>, name: string): ValueType => {
  const value = values.get(name)
  if (value !== undefined) return value
  throw new OnnxModelError('SHAPES_UNKNOWN', `The shape of "${shorten(name)}" is not known`, 'Export the model again.')
}
