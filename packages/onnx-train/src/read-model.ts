import { fromBinary } from '@bufbuild/protobuf'
import { checkFields } from './check-fields.ts'
import { checkGraph } from './check-graph.ts'
import { type ModelProto, ModelProtoSchema } from './gen/onnx_pb.ts'
import { OnnxModelError } from './onnx-model-error.ts'
import { pruneToOutput } from './prune-to-output.ts'

export const oldestOpset = 11
export const newestOpset = 26
export const newestIrVersion = 13

export type ModelLimits = {
  /** Largest file accepted, in bytes. */
  readonly maxBytes: number
  /** Most nodes accepted. @default 20000 */
  readonly maxNodes?: number
  /** Keep only what computes this value, which becomes the only output. @default the whole graph */
  readonly output?: string | undefined
}

/**
 * Reads an ONNX file that may come from anybody and checks everything later stages rely on: versions, domains, no
 * external data, no functions, no control flow, unique names, nodes in topological order. Fields that are not
 * understood are kept. Time and memory are linear in the file's size, and memory in the number of
 * its fields, which is bounded. Throws OnnxModelError.
 */
export const readModel = (bytes: Uint8Array, limits: ModelLimits): ModelProto => {
  if (bytes.length > limits.maxBytes) {
    throw new OnnxModelError(
      'TOO_BIG',
      `The model has ${bytes.length} bytes, more than the ${limits.maxBytes} allowed`,
      'Use a smaller model or raise the limit.',
    )
  }
  const decoded = decode(bytes)
  checkVersions(decoded)
  const model = limits.output === undefined ? decoded : pruneToOutput(decoded, limits.output)
  if (model.functions.length > 0) {
    throw new OnnxModelError(
      'FUNCTIONS_UNSUPPORTED',
      `The model defines ${model.functions.length} local functions`,
      'Inline them before the upload (onnx.inliner.inline_local_functions).',
    )
  }
  if (model.graph === undefined) {
    throw new OnnxModelError('MALFORMED', 'The file has no graph', 'Check that it is an ONNX model.')
  }
  checkGraph(model.graph, limits.maxNodes ?? 20_000)
  return model
}

/** The version of the default operator domain that a checked model uses. */
export const opsetOf = (model: ModelProto): number =>
  Number(model.opsetImport.find(({ domain }) => isDefaultDomain(domain))?.version ?? 0n)

export const isDefaultDomain = (domain: string): boolean => domain === '' || domain === 'ai.onnx'

const decode = (bytes: Uint8Array): ModelProto => {
  checkFields(bytes)
  try {
    // The decoder stops at 100 nested messages, so a deeply nested file ends here too.
    return fromBinary(ModelProtoSchema, bytes)
  } catch (cause) {
    throw new OnnxModelError('MALFORMED', 'The file is not an ONNX model', 'Check that it was uploaded whole.', {
      cause,
    })
  }
}

const checkVersions = (model: ModelProto): void => {
  if (model.irVersion < 3n || model.irVersion > BigInt(newestIrVersion)) {
    throw new OnnxModelError(
      'IR_VERSION_UNSUPPORTED',
      `The model has IR version ${model.irVersion}; 3 to ${newestIrVersion} are supported`,
      'Export it with an older or newer version of the exporter.',
    )
  }
  const opset = opsetOf(model)
  if (opset < oldestOpset || opset > newestOpset) {
    throw new OnnxModelError(
      'OPSET_UNSUPPORTED',
      `The model uses opset ${opset}; ${oldestOpset} to ${newestOpset} are supported`,
      'Export it with opset_version=17.',
    )
  }
}
