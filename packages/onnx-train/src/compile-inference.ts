import { evaluationMode } from './evaluation-mode.ts'
import { prepareForward } from './forward.ts'
import type { ModelProto } from './gen/onnx_pb.ts'
import { modelFromGraph } from './graph-to-proto.ts'
import type { Parameter } from './parameters.ts'
import { declarationOf, type Port, port } from './ports.ts'
import { writeModel } from './write-model.ts'

/**
 * A graph that predicts. Feeds: every parameter under its name, `features` [B, ...exampleShape]. Fetches: `output`, the only output of
 * the forward graph.
 */
export type CompiledInference = {
  readonly model: Uint8Array
  readonly parameters: readonly Parameter[]
  readonly features: string
  readonly featuresDtype: Port['dtype']
  readonly exampleShape: readonly number[]
  readonly output: string
}

/** Compiles a forward graph in the mode in which it predicts, its parameters as inputs. Throws OnnxModelError. */
export const compileInference = (model: ModelProto): CompiledInference => {
  const { graph, parameters, features, exampleShape, output, opset } = prepareForward(model)
  const inputs = [
    ...parameters.map(parameter => port('parameter', parameter, parameter.name)),
    port('features', { ...features, shape: ['batch', ...exampleShape] }),
  ]
  const inference = { ...evaluationMode(graph), name: 'inference', inputs: inputs.map(declarationOf) }
  return {
    model: writeModel(modelFromGraph(inference, opset)),
    parameters,
    features: features.name,
    featuresDtype: features.dtype,
    exampleShape,
    output,
  }
}
