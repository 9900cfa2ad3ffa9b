import { create } from '@bufbuild/protobuf'
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from './gen/onnx_pb.ts'
import type { Attribute, Graph, Node, ValueDeclaration } from './graph.ts'
import { codeOf, tensorToProto } from './tensor-proto.ts'

/** IR 8 came with opset 15 and is what every runtime of the last years reads. */
const emittedIrVersion = 8n

/** A model around a graph of the default operator domain. */
export const modelFromGraph = (graph: Graph, opset: number): ModelProto =>
  create(ModelProtoSchema, {
    irVersion: emittedIrVersion,
    producerName: 'tributary',
    opsetImport: [{ domain: '', version: BigInt(opset) }],
    graph: graphToProto(graph),
  })

const graphToProto = (graph: Graph): GraphProto =>
  create(GraphProtoSchema, {
    name: graph.name,
    input: graph.inputs.map(declarationToProto),
    output: graph.outputs.map(output =>
      output.dtype === undefined ? create(ValueInfoProtoSchema, { name: output.name }) : declarationToProto(output),
    ),
    initializer: [...graph.constants].map(([name, tensor]) => tensorToProto(name, tensor)),
    node: graph.nodes.map(nodeToProto),
  })

export const declarationToProto = (declaration: ValueDeclaration): ValueInfoProto =>
  create(ValueInfoProtoSchema, {
    name: declaration.name,
    type: {
      value: {
        case: 'tensorType',
        value: {
          elemType: codeOf(declaration.dtype),
          shape: {
            dim: declaration.shape.map(size =>
              typeof size === 'number'
                ? { value: { case: 'dimValue' as const, value: BigInt(size) } }
                : { value: { case: 'dimParam' as const, value: size } },
            ),
          },
        },
      },
    },
  })

const nodeToProto = (node: Node): NodeProto =>
  create(NodeProtoSchema, {
    opType: node.op,
    name: node.name,
    input: [...node.inputs],
    output: [...node.outputs],
    attribute: [...node.attributes].map(([name, attribute]) => attributeToProto(name, attribute)),
  })

const largestInt64 = 2n ** 63n - 1n

/** Exporters write "to the end" as 2⁶³ − 1, which a number rounds up to 2⁶³. */
const int64 = (value: number): bigint => {
  const exact = BigInt(value)
  return exact > largestInt64 ? largestInt64 : exact
}

const attributeToProto = (name: string, attribute: Attribute): AttributeProto => {
  if ('int' in attribute) {
    return create(AttributeProtoSchema, { name, type: AttributeType.INT, i: int64(attribute.int) })
  }
  if ('float' in attribute) {
    return create(AttributeProtoSchema, { name, type: AttributeType.FLOAT, f: attribute.float })
  }
  if ('string' in attribute) {
    const s = new TextEncoder().encode(attribute.string)
    return create(AttributeProtoSchema, { name, type: AttributeType.STRING, s })
  }
  if ('ints' in attribute) {
    return create(AttributeProtoSchema, { name, type: AttributeType.INTS, ints: attribute.ints.map(int64) })
  }
  if ('floats' in attribute) {
    return create(AttributeProtoSchema, { name, type: AttributeType.FLOATS, floats: [...attribute.floats] })
  }
  if ('strings' in attribute) {
    const strings = attribute.strings.map(text => new TextEncoder().encode(text))
    return create(AttributeProtoSchema, { name, type: AttributeType.STRINGS, strings })
  }
  if ('tensor' in attribute) {
    return create(AttributeProtoSchema, { name, type: AttributeType.TENSOR, t: tensorToProto('', attribute.tensor) })
  }
  return create(AttributeProtoSchema, { name, type: AttributeType.GRAPH, g: graphToProto(attribute.graph) })
}
