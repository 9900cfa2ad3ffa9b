import type { ModelProto } from './gen/onnx_pb.ts'
import type { ValueDeclaration } from './graph.ts'
import { declarationFromProto } from './graph-from-proto.ts'
import { OnnxModelError, shorten } from './onnx-model-error.ts'
import { graphOf, parametersOf } from './parameters.ts'
import { type DType, tensorBytes } from './tensor.ts'
import { tensorFromProto } from './tensor-proto.ts'

/** A weight under the names that manifests and safetensors use. */
export type NamedTensor = {
  readonly name: string
  readonly dtype: 'F32' | 'F64'
  readonly shape: readonly number[]
  readonly policy: 'average'
  /** A running statistic: averaged, but under its own bound and outside norms, optimisers and noise. */
  readonly buffer?: true
  /** Little-endian, row-major. */
  readonly bytes: Uint8Array
}

/** An input or output of the model as a manifest describes it; null stands for the batch dimension. */
export type PortDescription = {
  readonly name: string
  readonly dtype: PortDType
  readonly shape: readonly (number | null)[]
}

const portDTypes = {
  float32: 'F32',
  float64: 'F64',
  int32: 'I32',
  int64: 'I64',
  bool: 'BOOL',
  uint8: 'U8',
  int8: 'I8',
} as const satisfies Record<DType, string>

export type PortDType = (typeof portDTypes)[DType]

export type ExtractedWeights = {
  /** The trainable tensors in manifest order. */
  readonly tensors: readonly NamedTensor[]
  readonly inputs: readonly PortDescription[]
  readonly outputs: readonly PortDescription[]
}

/**
 * Takes the weights out of a model read by `readModel`: what a manifest and a weights file need.
 * Throws NO_PARAMETERS, WEIGHTS_MISMATCH (graph without weights), and what reading a tensor throws.
 */
export const extractWeights = (model: ModelProto): ExtractedWeights => {
  const graph = graphOf(model)
  const parameters = parametersOf(model)
  const initialisers = new Map(graph.initializer.map(proto => [proto.name, proto]))
  const tensors = parameters.map(({ name, dtype, shape, buffer }): NamedTensor => {
    const proto = initialisers.get(name)
    if (proto === undefined) {
      throw new OnnxModelError(
        'WEIGHTS_MISMATCH',
        `The graph carries no values for parameter "${shorten(name)}"`,
        'Give the model with its weights, not the graph alone.',
      )
    }
    return {
      name,
      dtype: dtype === 'float32' ? 'F32' : 'F64',
      shape,
      policy: 'average',
      ...(buffer === undefined ? {} : { buffer }),
      bytes: tensorBytes(tensorFromProto(proto)),
    }
  })
  return { tensors, ...portsOf(model) }
}

/** What goes into the model and comes out of it, of a graph with its weights or without. */
export const portsOf = (model: ModelProto): Pick<ExtractedWeights, 'inputs' | 'outputs'> => {
  const graph = graphOf(model)
  const constants = new Set([...graph.initializer, ...parametersOf(model)].map(({ name }) => name))
  return {
    inputs: graph.input.filter(({ name }) => !constants.has(name)).map(port => describe(declarationFromProto(port))),
    outputs: graph.output.map(port => describe(declarationFromProto(port))),
  }
}

const describe = ({ name, dtype, shape }: ValueDeclaration): PortDescription => ({
  name,
  dtype: portDTypes[dtype],
  shape: shape.map(size => (typeof size === 'number' ? size : null)),
})
