import { checkAttributes } from './check-attributes.ts'
import { AttributeProto_AttributeType as AttributeType, type GraphProto, type NodeProto } from './gen/onnx_pb.ts'
import { OnnxModelError, shorten } from './onnx-model-error.ts'
import { refuseExternalData } from './tensor-proto.ts'

/** Checks the structure of a forward graph. Throws OnnxModelError naming the node. */
export const checkGraph = (graph: GraphProto, maxNodes: number): void => {
  if (graph.node.length > maxNodes) {
    throw new OnnxModelError(
      'TOO_MANY_NODES',
      `The graph has ${graph.node.length} nodes, more than the ${maxNodes} allowed`,
      'Simplify the graph or raise the limit.',
    )
  }
  if (graph.sparseInitializer.length > 0) {
    throw new OnnxModelError('SPARSE_UNSUPPORTED', 'The graph has sparse weights', 'Export them as dense tensors.')
  }
  graph.initializer.forEach(refuseExternalData)
  graph.node.forEach(checkNode)
  checkOrder(graph)
}

const quantised = new Set(
  'QuantizeLinear DequantizeLinear DynamicQuantizeLinear QLinearConv QLinearMatMul ConvInteger MatMulInteger'.split(
    ' ',
  ),
)

const labelOf = (node: NodeProto): string => node.name || (node.output[0] ?? node.opType)

const checkNode = (node: NodeProto): void => {
  const nodeName = labelOf(node)
  if (node.domain !== '' && node.domain !== 'ai.onnx') {
    throw new OnnxModelError(
      'DOMAIN_UNSUPPORTED',
      `Operator ${shorten(node.opType)} is of domain "${shorten(node.domain)}"`,
      'Export with operators of ai.onnx only.',
      { nodeName },
    )
  }
  if (quantised.has(node.opType)) {
    throw new OnnxModelError(
      'OPERATOR_UNSUPPORTED',
      `Operator ${node.opType} rounds to integers, which have no gradient`,
      'Export the float model, before it is quantised.',
      { nodeName },
    )
  }
  checkAttributes(node, nodeName)
  for (const attribute of node.attribute) {
    if (attribute.type === AttributeType.GRAPH || attribute.type === AttributeType.GRAPHS || attribute.g) {
      throw new OnnxModelError(
        'CONTROL_FLOW_UNSUPPORTED',
        `Operator ${shorten(node.opType)} contains a graph of its own`,
        'Export the model without If, Loop and Scan (trace it instead of scripting it).',
        { nodeName },
      )
    }
    if (attribute.t !== undefined) refuseExternalData(attribute.t)
    attribute.tensors.forEach(refuseExternalData)
  }
}

/** Runtimes in JavaScript take and give tensors as properties of an object, which cannot have one of this name. */
const unusableName = '__proto__'

const refuseName = (nodeName?: string): never => {
  throw new OnnxModelError(
    'MALFORMED',
    `A value is called "${unusableName}"`,
    'Rename it and export the model again.',
    nodeName === undefined ? {} : { nodeName },
  )
}

/** Every name is written once, and before it is read: that also excludes cycles. */
const checkOrder = (graph: GraphProto): void => {
  const known = new Set<string>()
  const define = (name: string, nodeName?: string): void => {
    if (name === unusableName) refuseName(nodeName)
    if (name !== '' && !known.has(name)) {
      known.add(name)
      return
    }
    throw new OnnxModelError(
      name === '' ? 'MALFORMED' : 'DUPLICATE_NAME',
      name === '' ? 'A value has no name' : `"${shorten(name)}" is defined twice`,
      'Export the model again; the graph is damaged.',
      nodeName === undefined ? {} : { nodeName },
    )
  }
  for (const { name } of graph.initializer) define(name)
  // IR 3 lists initialisers among the inputs too.
  const initialisers = new Set(known)
  for (const { name } of graph.input) if (!initialisers.delete(name)) define(name)
  for (const node of graph.node) {
    const nodeName = labelOf(node)
    for (const input of node.input) if (input !== '' && !known.has(input)) notSorted(input, nodeName)
    for (const output of node.output) if (output !== '') define(output, nodeName)
  }
  for (const { name } of graph.output) if (!known.has(name)) notSorted(name, 'graph output')
}

const notSorted = (value: string, nodeName: string): never => {
  throw new OnnxModelError(
    'NOT_SORTED',
    `"${shorten(value)}" is read before anything produces it`,
    'The graph must be acyclic and in topological order; export the model again.',
    { nodeName },
  )
}
