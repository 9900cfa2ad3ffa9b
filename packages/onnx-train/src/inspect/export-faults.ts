import type { GraphProto, ModelProto } from '../gen/onnx_pb.ts'
import { graphOf, parametersOf } from '../parameters.ts'

/** Something that an exporter did and that training suffers from, though it does not prevent it. */
export type ExportFault = {
  readonly code: 'FUSED_BATCH_NORM' | 'RENAMED_WEIGHTS' | 'FOLDED_WEIGHTS' | 'INFERENCE_NORMALISATION'
  readonly message: string
}

/** How messages name a few of many. */
const some = (names: readonly string[]): string =>
  `${names.slice(0, 3).join(', ')}${names.length > 3 ? ` and ${names.length - 3} more` : ''}`

/**
 * What names and shapes of a graph tell about how it was exported. torch.onnx.export names weights that it computed
 * `onnx::Conv_44`; tf2onnx names those of a fused normalisation `…_weights_fused_bn`, and TensorFlow's own optimiser
 * `…/merged_input`.
 */
export const exportFaults = (model: ModelProto): ExportFault[] => {
  const graph = graphOf(model)
  const weights = new Set(parametersOf(model).map(({ name }) => name))
  const faults: ExportFault[] = []
  const fused = fusedNormalisations(graph, weights)
  if (fused.length > 0) {
    faults.push({
      code: 'FUSED_BATCH_NORM',
      message: `BatchNormalization was fused into the weights of a convolution (${some(fused)}): it trains as a plain convolution with a bias and has no running statistics. Export without that fusion; docs/bring-your-model.md has the call for each framework.`,
    })
  }
  const folded = readBy(graph, weights, /^onnx::(MatMul|Gemm)_\d+$/)
  if (folded.length > 0) {
    faults.push({
      code: 'FOLDED_WEIGHTS',
      message: `Weights were transposed or combined while exporting and lost their names (${some(folded)}): they train, but their names and shapes are not those of the source model. Export with do_constant_folding=False.`,
    })
  }
  const converted = readBy(graph, weights, /^(const_fold_opt|[WRB]\d*)__\d+$/)
  if (converted.length > 0 && converted.length < weights.size) {
    faults.push({
      code: 'RENAMED_WEIGHTS',
      message: `The converter rearranged weights and numbered them (${some(converted)}): they train, but under names that change when anything before them in the model does. Versions of such an export will not fit the earlier ones then.`,
    })
  }
  const numbered = [...weights].filter(name => /^(\d+|val_\d+|initializer_\d+|const_fold_opt__\d+)$/.test(name))
  if (numbered.length > 0 && numbered.length === weights.size) {
    faults.push({
      code: 'RENAMED_WEIGHTS',
      message: `The weights have no names of their own (${some(numbered)}), so a second export may name them otherwise and its versions will not fit. Export with parameter names kept.`,
    })
  }
  return [...faults, ...modeFaults(graph)]
}

const fusedNormalisations = (graph: GraphProto, weights: ReadonlySet<string>): string[] => {
  const named = [/^onnx::Conv(Transpose)?_\d+$/, /_weights_fused_bn(__\d+)?$/, /\/merged_input(:\d+)?$/]
  // The newer exporter of PyTorch keeps names, and notes at each node which module it came from.
  const traced = graph.node.filter(
    ({ opType, metadataProps }) =>
      products.has(opType) &&
      metadataProps.some(({ key, value }) => key === 'namespace' && value.includes('BatchNorm')),
  )
  return [
    ...named.flatMap(pattern => readBy(graph, weights, pattern)),
    ...traced.flatMap(({ input }) => input.slice(1, 2)),
    ...shiftsWithoutScale(weights),
  ]
}

/** Keras computes a normalisation as a scale and a shift; where only the shift is left, the scale went into a kernel. */
const shiftsWithoutScale = (weights: ReadonlySet<string>): string[] => {
  const layerOf = (name: string, part: string): string | undefined =>
    new RegExp(`^(.*/batchnorm)/${part}(:0|__\\d+)?$`).exec(name)?.[1]
  const scaled = new Set([...weights].map(name => layerOf(name, 'mul')))
  return [...weights].filter(name => {
    const layer = layerOf(name, 'sub')
    return layer !== undefined && !scaled.has(layer)
  })
}

const products = new Set(['Conv', 'ConvTranspose', 'Gemm'])

const modeFaults = (graph: GraphProto): ExportFault[] => {
  const inference = graph.node.filter(
    ({ opType, attribute }) =>
      opType === 'BatchNormalization' && !attribute.some(({ name, i }) => name === 'training_mode' && i === 1n),
  ).length
  const scaled = graph.initializer.filter(({ name }) => /batchnorm\/mul/.test(name)).length
  const dropout = graph.node.some(({ opType }) => opType === 'Dropout')
  const message = [
    inference === 0
      ? ''
      : `${inference} BatchNormalization exported for inference: the running statistics stay as they are.`,
    scaled === 0
      ? ''
      : `${scaled} BatchNormalization became a scale and a shift, which train; there are no running statistics.`,
    dropout ? '' : 'Such an export leaves out Dropout, if there was any.',
  ]
  if (inference + scaled === 0) return []
  return [{ code: 'INFERENCE_NORMALISATION', message: message.filter(part => part !== '').join(' ') }]
}

/** Weights of a name that fits, as some node reads them. */
const readBy = (graph: GraphProto, weights: ReadonlySet<string>, pattern: RegExp): string[] => {
  const read = new Set(graph.node.flatMap(({ input }) => input))
  return [...weights].filter(name => read.has(name) && pattern.test(name))
}
