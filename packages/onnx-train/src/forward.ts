import type { ModelProto } from './gen/onnx_pb.ts'
import { type Graph, intAttribute, type Node, type ValueDeclaration } from './graph.ts'
import { graphFromProto } from './graph-from-proto.ts'
import type { FoldedActivation } from './losses/loss.ts'
import { liftOpset } from './lowering/lift-opset.ts'
import { OnnxModelError, shorten } from './onnx-model-error.ts'
import { graphOf, type Parameter, parametersOf } from './parameters.ts'
import { dropDeadCode } from './passes/dead-code.ts'
import { opsetOf } from './read-model.ts'
import type { Tensor } from './tensor.ts'

/** A forward graph made ready for compilation. */
export type Forward = {
  /** Data input only; parameters are free names; constants are what is left of the initialisers. */
  readonly graph: Graph
  readonly parameters: readonly Parameter[]
  /** The one data input and the shape of one example. */
  readonly features: ValueDeclaration
  readonly exampleShape: readonly number[]
  /** The value that the loss is computed from. */
  readonly output: string
  /** The activation after it that the loss contains and that was taken off. */
  readonly folded: FoldedActivation | undefined
  /** Opset of compiled graphs. */
  readonly opset: number
}

/** Which value of the graph the loss starts from. */
export type OutputChoice = {
  /** Name of the value. @default the only output of the graph */
  readonly output?: string | undefined
  /** Operators that the loss contains, to be taken off the end. @default none */
  readonly folds?: readonly string[]
}

/**
 * Takes a checked model apart for compilation.
 * Throws INPUTS_UNSUPPORTED, OUTPUTS_UNSUPPORTED, FIXED_BATCH, OPSET_UNSUPPORTED, NO_PARAMETERS.
 */
export const prepareForward = (model: ModelProto, choice: OutputChoice = {}): Forward => {
  const parameters = parametersOf(model)
  const names = new Set(parameters.map(({ name }) => name))
  const graph = graphFromProto(graphOf(model))
  const constants = new Map([...graph.constants].filter(([name]) => !names.has(name)))
  const features = onlyInput(graph.inputs.filter(({ name }) => !names.has(name)))
  const computed = graph.nodes.filter(node => !isConstant(node, constants))
  const opset = opsetOf(model)
  const { output, folded } = withoutFinal(computed, outputOf(graph, choice.output), choice.folds ?? [], opset)
  const nodes = dropDeadCode(computed, [output])
  const lifted = liftOpset(
    { name: graph.name, inputs: [features], outputs: [{ name: output }], constants, nodes },
    opset,
  )
  return {
    graph: lifted.graph,
    parameters,
    features,
    exampleShape: exampleShapeOf(features),
    output,
    folded,
    opset: lifted.opset,
  }
}

const onlyInput = (inputs: readonly ValueDeclaration[]): ValueDeclaration => {
  const [input] = inputs
  if (input !== undefined && inputs.length === 1) return input
  throw new OnnxModelError(
    'INPUTS_UNSUPPORTED',
    `The model has ${inputs.length} inputs: ${inputs
      .map(({ name }) => shorten(name))
      .slice(0, 8)
      .join(', ')}`,
    'Export it with one input.',
  )
}

const exampleShapeOf = ({ name, shape }: ValueDeclaration): number[] => {
  if (typeof shape[0] !== 'string') {
    throw new OnnxModelError(
      'FIXED_BATCH',
      `The first dimension of input "${shorten(name)}" is ${shape[0] ?? 'missing'}; it must be the batch, of any size`,
      "Export with dynamic_axes={'input': {0: 'batch'}, 'output': {0: 'batch'}}.",
    )
  }
  return shape.slice(1).map((size): number => {
    if (typeof size === 'number' && size > 0) return size
    throw new OnnxModelError(
      'INPUTS_UNSUPPORTED',
      `Input "${shorten(name)}" has the shape [${shape.map(each => shorten(String(each))).join()}]`,
      'Export it with only the batch dimension dynamic.',
    )
  })
}

/** Moves the value of a Constant node to the constants. */
const isConstant = (node: Node, constants: Map<string, Tensor>): boolean => {
  const value = node.op === 'Constant' ? node.attributes.get('value') : undefined
  if (value === undefined || !('tensor' in value)) return false
  constants.set(node.outputs[0] ?? '', value.tensor)
  return true
}

const outputOf = (graph: Graph, chosen: string | undefined): string => {
  const names = graph.outputs.map(({ name }) => name)
  if (chosen === undefined) {
    const [only] = names
    if (only !== undefined && names.length === 1) return only
    throw new OnnxModelError(
      'OUTPUTS_UNSUPPORTED',
      `The model has ${names.length} outputs: ${names.slice(0, 8).map(shorten).join(', ')}`,
      'Say which one the loss is computed from, or export the model with one.',
    )
  }
  if (names.includes(chosen) || graph.nodes.some(({ outputs }) => outputs.includes(chosen))) return chosen
  throw new OnnxModelError(
    'OUTPUTS_UNSUPPORTED',
    `The model has no value "${shorten(chosen)}"`,
    `Name one of its outputs (${names.slice(0, 8).map(shorten).join(', ')}) or a value inside.`,
  )
}

/** Takes off the activation at the end that the loss contains, and Identity nodes around it. */
const withoutFinal = (
  nodes: readonly Node[],
  output: string,
  folds: readonly string[],
  opset: number,
): Pick<Forward, 'output' | 'folded'> => {
  const producers = new Map(nodes.flatMap(node => node.outputs.map(name => [name, node] as const)))
  let end = output
  while (producers.get(end)?.op === 'Identity') end = producers.get(end)?.inputs[0] ?? output
  const last = producers.get(end)
  const [before] = last?.inputs ?? []
  if (last === undefined || before === undefined || !folds.includes(last.op)) return { output, folded: undefined }
  const flattens = opset < 13 && last.op !== 'Sigmoid'
  return { output: before, folded: { op: last.op, axis: intAttribute(last, 'axis', flattens ? 1 : -1), flattens } }
}
