import { create } from '@bufbuild/protobuf'
import { GraphProtoSchema, type ModelProto, ModelProtoSchema } from './gen/onnx_pb.ts'
import { declarationToProto } from './graph-to-proto.ts'
import { graphOf, parametersKey, parametersOf } from './parameters.ts'

/**
 * The same forward graph without the values of its parameters: each becomes a declared input (name, dtype, shape), after
 * the data inputs and in manifest order, and metadata "tributary.parameters" lists them. The result is itself a valid
 * ONNX model of a few KB that any runtime runs when it is fed the weights. `withWeights` is the inverse.
 */
export const withoutWeights = (model: ModelProto): ModelProto => {
  if (model.metadataProps.some(({ key }) => key === parametersKey)) return model
  const graph = graphOf(model)
  const parameters = parametersOf(model)
  const names = new Set(parameters.map(({ name }) => name))
  return create(ModelProtoSchema, {
    ...model,
    graph: create(GraphProtoSchema, {
      ...graph,
      initializer: graph.initializer.filter(({ name }) => !names.has(name)),
      input: [...graph.input.filter(({ name }) => !names.has(name)), ...parameters.map(declarationToProto)],
    }),
    metadataProps: [
      ...model.metadataProps,
      { $typeName: 'onnx.StringStringEntryProto', key: parametersKey, value: JSON.stringify([...names]) },
    ],
  })
}
