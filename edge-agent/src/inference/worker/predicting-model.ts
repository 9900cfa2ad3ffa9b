import { create } from '@bufbuild/protobuf'
import {
  type GraphProto,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
} from '@tributary/onnx-train/gen/onnx_pb'
import { layoutModel } from '@tributary/onnx-train/layout-model'
import { readModel } from '@tributary/onnx-train/read-model'
import { decodeSafetensors } from '@tributary/tensors/safetensors/file'
import { ModelFailure } from './model-failure.ts'

/** As much as protobuf holds. */
const maxGraphBytes = 2 ** 31 - 1

/**
 * The file that a runtime predicts with: the forward graph with its weights put in, normalisation by running statistics, dropout
 * passing everything. Weights are copied once, to their place.
 * @throws OnnxModelError, SafetensorsError, ModelFailure MODEL_UNSUPPORTED where weights and graph do not fit
 */
export const predictingModel = (graph: Uint8Array, weights: Uint8Array): Uint8Array => {
  const { pieces, bytes } = layoutModel(inEvaluationMode(readModel(graph, { maxBytes: maxGraphBytes })))
  const tensors = decodeSafetensors(weights)
  const file = new Uint8Array(bytes)
  let at = 0
  for (const piece of pieces) {
    if (piece.kind === 'bytes') {
      file.set(piece.bytes, at)
      at += piece.bytes.length
      continue
    }
    const tensor = tensors.get(piece.name)
    if (tensor?.bytes.length !== piece.byteLength) {
      throw new ModelFailure(
        'MODEL_UNSUPPORTED',
        `The weights do not fit parameter ${JSON.stringify(piece.name.slice(0, 80))}.`,
      )
    }
    file.set(tensor.bytes, at)
    at += piece.byteLength
  }
  return file
}

/** Exports made for training have the flags of these two operators baked in. */
const inEvaluationMode = (model: ModelProto): ModelProto => {
  const graph = model.graph as GraphProto
  return create(ModelProtoSchema, {
    ...model,
    graph: create(GraphProtoSchema, { ...graph, node: graph.node.map(evaluating) }),
  })
}

const evaluating = (node: NodeProto): NodeProto => {
  if (node.opType === 'BatchNormalization') {
    const attribute = node.attribute.filter(({ name }) => name !== 'training_mode')
    return create(NodeProtoSchema, { ...node, output: node.output.slice(0, 1), attribute })
  }
  // A mask that somebody reads is the operator's own affair: without the flag it passes everything, too.
  if (node.opType !== 'Dropout') return node
  if (node.output.filter(name => name !== '').length > 1) {
    return create(NodeProtoSchema, { ...node, input: node.input.slice(0, 2) })
  }
  return create(NodeProtoSchema, {
    ...node,
    opType: 'Identity',
    input: node.input.slice(0, 1),
    output: node.output.slice(0, 1),
    attribute: [],
  })
}
