import { create } from '@bufbuild/protobuf'
import {
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from './gen/onnx_pb.ts'
import { OnnxModelError, shorten } from './onnx-model-error.ts'

/**
 * The part of a graph that computes one value, which becomes its only output: what comes after it (class names, sorting,
 * operators of other domains) is left out. For a graph as it was decoded, before it is checked.
 * Throws OUTPUTS_UNSUPPORTED when nothing computes the value.
 */
export const pruneToOutput = (model: ModelProto, output: string): ModelProto => {
  const { graph } = model
  if (graph === undefined) return model
  const nodes = ancestors(graph, output)
  if (nodes.length === 0) {
    throw new OnnxModelError(
      'OUTPUTS_UNSUPPORTED',
      `No node computes "${shorten(output)}"`,
      `Name an output (${graph.output
        .slice(0, 8)
        .map(({ name }) => shorten(name))
        .join(', ')}) or a value inside the model.`,
    )
  }
  const read = new Set(nodes.flatMap(({ input }) => input))
  const pruned = create(GraphProtoSchema, {
    ...graph,
    node: nodes,
    initializer: graph.initializer.filter(({ name }) => read.has(name)),
    sparseInitializer: graph.sparseInitializer.filter(({ values }) => read.has(values?.name ?? '')),
    input: graph.input.filter(({ name }) => read.has(name)),
    output: [declaration(graph, output)],
  })
  return create(ModelProtoSchema, { ...model, graph: pruned })
}

/** The nodes that a value depends on, in their order. Linear in the graph. */
const ancestors = (graph: GraphProto, output: string): NodeProto[] => {
  const producers = new Map(graph.node.flatMap(node => node.output.map(name => [name, node] as const)))
  const kept = new Set<NodeProto>()
  const waiting = [output]
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    const node = producers.get(name)
    if (node === undefined || kept.has(node)) continue
    kept.add(node)
    for (const input of node.input) waiting.push(input)
  }
  return graph.node.filter(node => kept.has(node))
}

/** As the file declares the value; as a float tensor of any shape where it does not, since nothing else has a loss. */
const declaration = (graph: GraphProto, name: string): ValueInfoProto =>
  [...graph.output, ...graph.valueInfo].find(value => value.name === name) ??
  create(ValueInfoProtoSchema, {
    name,
    type: { value: { case: 'tensorType', value: { elemType: 1 } } },
  })
