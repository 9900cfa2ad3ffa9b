import type { AttributeProto, GraphProto, NodeProto, ValueInfoProto } from './gen/onnx_pb.ts'
import { AttributeProto_AttributeType as AttributeType } from './gen/onnx_pb.ts'
import type { Attribute, DeclaredSize, Graph, Node, ValueDeclaration } from './graph.ts'
import { OnnxModelError, shorten } from './onnx-model-error.ts'
import type { Tensor } from './tensor.ts'
import { dtypeOf, tensorFromProto } from './tensor-proto.ts'

/**
 * The graph of a model that `readModel` has checked. Initialisers that are also listed as inputs (IR 3) are constants.
 * Throws OnnxModelError for values that are not tensors and for element types that are not handled.
 */
export const graphFromProto = (proto: GraphProto): Graph => {
  const constants = new Map<string, Tensor>(proto.initializer.map(tensor => [tensor.name, tensorFromProto(tensor)]))
  return {
    name: proto.name,
    inputs: proto.input.filter(input => !constants.has(input.name)).map(declarationFromProto),
    outputs: proto.output.map(declarationFromProto),
    constants,
    nodes: proto.node.map(nodeFromProto),
  }
}

/** Name, dtype and declared shape of a graph input or output. */
export const declarationFromProto = (proto: ValueInfoProto): ValueDeclaration => {
  const type = proto.type?.value
  if (type?.case !== 'tensorType') {
    throw new OnnxModelError('MALFORMED', `"${shorten(proto.name)}" is not a tensor`, 'Export a model of tensors.')
  }
  const dtype = dtypeOf(type.value.elemType)
  if (dtype === undefined) {
    throw new OnnxModelError(
      'DTYPE_UNSUPPORTED',
      `"${shorten(proto.name)}" has the ONNX element type ${type.value.elemType}`,
      'Export the model with float32 inputs and outputs.',
    )
  }
  const shape = (type.value.shape?.dim ?? []).map(
    ({ value }): DeclaredSize => (value.case === 'dimValue' ? Number(value.value) : (value.value ?? '')),
  )
  return { name: proto.name, dtype, shape }
}

const nodeFromProto = (proto: NodeProto): Node => ({
  op: proto.opType,
  name: proto.name,
  inputs: proto.input,
  outputs: proto.output,
  attributes: new Map(proto.attribute.map(attribute => [attribute.name, attributeFromProto(proto, attribute)])),
})

const attributeFromProto = (node: NodeProto, proto: AttributeProto): Attribute => {
  if (proto.type === AttributeType.INT) return { int: Number(proto.i) }
  if (proto.type === AttributeType.FLOAT) return { float: proto.f }
  if (proto.type === AttributeType.STRING) return { string: new TextDecoder().decode(proto.s) }
  if (proto.type === AttributeType.INTS) return { ints: proto.ints.map(Number) }
  if (proto.type === AttributeType.FLOATS) return { floats: proto.floats }
  if (proto.type === AttributeType.STRINGS) {
    return { strings: proto.strings.map(bytes => new TextDecoder().decode(bytes)) }
  }
  if (proto.type === AttributeType.TENSOR && proto.t !== undefined) return { tensor: tensorFromProto(proto.t) }
  throw new OnnxModelError(
    'OPERATOR_FORM_UNSUPPORTED',
    `Attribute "${shorten(proto.name)}" of ${shorten(node.opType)} has a kind that is not supported`,
    'Export with standard operators of ai.onnx.',
    { nodeName: node.name || (node.output[0] ?? '') },
  )
}
