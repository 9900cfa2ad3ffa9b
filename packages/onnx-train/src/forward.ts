import type { ModelProto } from './gen/onnx_pb.ts'
import type { Graph, Node, ValueDeclaration } from './graph.ts'
import { graphFromProto } from './graph-from-proto.ts'
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
  /** The value that the loss is computed from: logits, a final softmax taken off. */
  readonly logits: string
  /** Opset of compiled graphs. */
  readonly opset: number
}

/**
 * Takes a checked model apart for compilation.
 * Throws INPUTS_UNSUPPORTED, OUTPUTS_UNSUPPORTED, FIXED_BATCH, OPSET_UNSUPPORTED, NO_PARAMETERS.
 */
export const prepareForward = (model: ModelProto): Forward => {
  const parameters = parametersOf(model)
  const names = new Set(parameters.map(({ name }) => name))
  const graph = graphFromProto(graphOf(model))
  const constants = new Map([...graph.constants].filter(([name]) => !names.has(name)))
  const features = onlyInput(graph.inputs.filter(({ name }) => !names.has(name)))
  const [output] = graph.outputs
  if (output === undefined || graph.outputs.length > 1) {
    throw new OnnxModelError(
      'OUTPUTS_UNSUPPORTED',
      `The model has ${graph.outputs.length} outputs`,
      'Export it with one output, the scores of the classes.',
    )
  }
  const computed = graph.nodes.filter(node => !isConstant(node, constants))
  const logits = withoutFinalSoftmax(computed, output.name)
  const nodes = dropDeadCode(computed, [logits])
  const lifted = liftOpset(
    { name: graph.name, inputs: [features], outputs: [{ name: logits }], constants, nodes },
    opsetOf(model),
  )
  return {
    graph: lifted.graph,
    parameters,
    features,
    exampleShape: exampleShapeOf(features),
    logits,
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

/** Softmax and LogSoftmax at the end are part of the loss: together they are stable and cheaper. */
const withoutFinalSoftmax = (nodes: readonly Node[], output: string): string => {
  const last = nodes.find(({ outputs }) => outputs.includes(output))
  return last !== undefined && (last.op === 'Softmax' || last.op === 'LogSoftmax') ? (last.inputs[0] ?? output) : output
}
