import { create } from '@bufbuild/protobuf'
import type { NamedTensor } from './extract-weights.ts'
import { GraphProtoSchema, type ModelProto, ModelProtoSchema, type TensorProto } from './gen/onnx_pb.ts'
import { OnnxModelError, shorten } from './onnx-model-error.ts'
import { graphOf, type Parameter, parametersKey, parametersOf } from './parameters.ts'
import { tensorFromBytes } from './tensor.ts'
import { tensorToProto } from './tensor-proto.ts'

/** A tensor to put in; what a safetensors file or `extractWeights` gives. */
export type GivenTensor = Omit<NamedTensor, 'policy' | 'buffer'>

/**
 * The forward graph with the given values as initialisers, ready for any ONNX runtime. Takes a graph with weights (they
 * are replaced where they stand) or one made by `withoutWeights`; gives the same model either way, up to the order of
 * initialisers that are not parameters. Throws WEIGHTS_MISMATCH when names, dtypes or shapes differ from the graph's.
 */
export const withWeights = (model: ModelProto, tensors: readonly GivenTensor[]): ModelProto => {
  const graph = graphOf(model)
  const parameters = parametersOf(model)
  const given = new Map(tensors.map(tensor => [tensor.name, tensor]))
  const values = new Map(parameters.map(parameter => [parameter.name, toProto(parameter, given.get(parameter.name))]))
  if (given.size !== values.size) {
    const extra = tensors.find(({ name }) => !values.has(name))
    mismatch(`"${shorten(extra?.name ?? '')}" is not a parameter of the graph`)
  }
  const standing = new Set(graph.initializer.map(({ name }) => name))
  const declaredOnly = [...values].filter(([name]) => !standing.has(name)).map(([, proto]) => proto)
  return create(ModelProtoSchema, {
    ...model,
    graph: create(GraphProtoSchema, {
      ...graph,
      initializer: [...declaredOnly, ...graph.initializer.map(proto => values.get(proto.name) ?? proto)],
      input: graph.input.filter(({ name }) => standing.has(name) || !values.has(name)),
    }),
    metadataProps: model.metadataProps.filter(({ key }) => key !== parametersKey),
  })
}

const toProto = (parameter: Parameter, tensor: GivenTensor | undefined): TensorProto => {
  const { name, dtype, shape } = parameter
  if (tensor === undefined) return mismatch(`There is no tensor "${shorten(name)}"`)
  const width = dtype === 'float32' ? 4 : 8
  const size = shape.reduce((product, length) => product * length, width)
  if (tensor.dtype !== (dtype === 'float32' ? 'F32' : 'F64') || tensor.shape.join() !== shape.join()) {
    return mismatch(
      `Tensor "${shorten(name)}" is ${tensor.dtype} [${tensor.shape.join()}], the graph has ${dtype} [${shape.join()}]`,
    )
  }
  if (tensor.bytes.length !== size) mismatch(`Tensor "${shorten(name)}" has ${tensor.bytes.length} bytes, not ${size}`)
  return tensorToProto(name, tensorFromBytes(dtype, shape, tensor.bytes))
}

const mismatch = (problem: string): never => {
  throw new OnnxModelError('WEIGHTS_MISMATCH', problem, 'Use the weights that belong to this graph.')
}
