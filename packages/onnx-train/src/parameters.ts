import type { GraphProto, ModelProto, NodeProto } from './gen/onnx_pb.ts'
import { declarationFromProto } from './graph-from-proto.ts'
import { OnnxModelError, shorten } from './onnx-model-error.ts'
import { elementCount } from './tensor.ts'
import { dtypeOf, shapeOfProto } from './tensor-proto.ts'

/** A trainable tensor of a forward graph, or a running statistic that training carries along. */
export type Parameter = {
  readonly name: string
  readonly dtype: 'float32' | 'float64'
  readonly shape: readonly number[]
  /** Set on running statistics: updated by averaging what batches show, not by gradients. */
  readonly buffer?: true
}

/** Metadata key that lists, as a JSON array of names, the inputs of a graph without weights that are parameters. */
export const parametersKey = 'tributary.parameters'

/**
 * The trainable tensors in manifest order. In a graph with its weights these are the float initialisers of one or more
 * dimensions that a node reads as a weight (see `readsAsWeight`), in the order of the initialisers; in one without, the
 * inputs that its metadata names. Running statistics of BatchNormalization are among them, marked as buffers.
 * Throws NO_PARAMETERS where there are none, MALFORMED where metadata and inputs disagree.
 */
export const parametersOf = (model: ModelProto): readonly Parameter[] => {
  const graph = graphOf(model)
  const listed = model.metadataProps.find(({ key }) => key === parametersKey)
  const statistics = runningStatistics(graph)
  const parameters = (listed === undefined ? initialised(graph) : declared(graph, listed.value)).map(
    (parameter): Parameter => (statistics.has(parameter.name) ? { ...parameter, buffer: true } : parameter),
  )
  if (parameters.length > 0) return parameters
  throw new OnnxModelError(
    'NO_PARAMETERS',
    'The model has no float32 weights to train',
    'Export it with its weights as initialisers (in PyTorch: training=TrainingMode.TRAINING, do_constant_folding=False).',
  )
}

/** The graph of a checked model. */
export const graphOf = (model: ModelProto): GraphProto => {
  if (model.graph !== undefined) return model.graph
  throw new OnnxModelError('MALFORMED', 'The file has no graph', 'Check that it is an ONNX model.')
}

/** The number of elements of all parameters together: the length of the flat weight vector. */
export const parameterElements = (parameters: readonly Parameter[]): number =>
  parameters.reduce((sum, { shape }) => sum + elementCount(shape), 0)

/** Names read as the running mean and variance of a BatchNormalization. */
const runningStatistics = (graph: GraphProto): Set<string> =>
  new Set(graph.node.flatMap(({ opType, input }) => (opType === 'BatchNormalization' ? input.slice(3, 5) : [])))

/** Inputs that say how an operator works, by position, and never are weights. */
const settings = new Map<string, readonly number[]>([
  ['Clip', [1, 2]],
  ['Dropout', [1, 2]],
  ['OneHot', [2]],
  ['Pad', [2]],
  ['Resize', [1, 2]],
  ['Upsample', [1]],
])

/** Arithmetic whose one-element operands are constants of a formula (a scale, an exponent), written by exporters as [1]. */
const formulas = new Set(['Div', 'Max', 'Min', 'Mul', 'Pow', 'Sub'])

/** Whether a node reads an initialiser of so many elements as a weight. */
const readsAsWeight = ({ opType }: NodeProto, index: number, elements: number): boolean =>
  settings.get(opType)?.includes(index) !== true && !(elements === 1 && formulas.has(opType))

const initialised = (graph: GraphProto): Parameter[] => {
  const sizes = new Map(graph.initializer.map(({ name, dims }) => [name, elementCount(dims.map(Number))]))
  const read = new Set(
    graph.node.flatMap(node => node.input.filter((name, index) => readsAsWeight(node, index, sizes.get(name) ?? 0))),
  )
  return graph.initializer.flatMap(proto => {
    const dtype = dtypeOf(proto.dataType)
    if (!isFloat(dtype) || proto.dims.length === 0 || !read.has(proto.name)) return []
    return [{ name: proto.name, dtype, shape: shapeOfProto(proto) }]
  })
}

const declared = (graph: GraphProto, names: string): Parameter[] => {
  const inputs = new Map(graph.input.map(input => [input.name, input]))
  return parseNames(names).map(name => {
    const input = inputs.get(name)
    const declaration = input && declarationFromProto(input)
    const shape = declaration?.shape.filter(size => typeof size === 'number' && size >= 0) as number[] | undefined
    const dtype = declaration?.dtype
    if (shape === undefined || shape.length !== declaration?.shape.length || !isFloat(dtype)) {
      throw new OnnxModelError(
        'MALFORMED',
        `Parameter "${shorten(name)}" is not declared as a float input of known shape`,
        'Make the graph again from the model with its weights.',
      )
    }
    return { name, dtype, shape }
  })
}

const parseNames = (text: string): string[] => {
  try {
    const names: unknown = JSON.parse(text)
    if (Array.isArray(names) && names.every(name => typeof name === 'string')) return names
  } catch {
    // Falls through to the refusal below, which names the key.
  }
  throw new OnnxModelError('MALFORMED', `Metadata "${parametersKey}" is not a list of names`, 'Make the graph again.')
}

const isFloat = (dtype: string | undefined): dtype is 'float32' | 'float64' =>
  dtype === 'float32' || dtype === 'float64'
