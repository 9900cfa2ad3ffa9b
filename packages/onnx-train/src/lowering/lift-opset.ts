import { Emitter } from '../emitter.ts'
import { type Graph, intAttribute, intsAttribute, type Node, nodeLabel } from '../graph.ts'
import { OnnxModelError, shorten } from '../onnx-model-error.ts'

/** Opset that gradient graphs are written for; older forward graphs are lifted to it, newer ones keep theirs. */
export const emittedOpset = 18

/** Operators that mean the same in opset 11 and 18, in every form that opset 11 allows. */
const unchanged = new Set(
  `Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool Cast CastLike Ceil Celu Clip Concat Constant
  ConstantOfShape Conv ConvTranspose Cos Cosh CumSum DepthToSpace Div Einsum Elu Equal Erf Exp Expand EyeLike Flatten
  Floor GRU Gather GatherElements GatherND Gemm GlobalAveragePool GlobalMaxPool Greater GreaterOrEqual HardSigmoid
  HardSwish Identity InstanceNormalization IsInf IsNaN LSTM LayerNormalization LeakyRelu Less LessOrEqual Log MatMul
  Max MaxPool Mean Min Mod Mul Neg NonZero Not OneHot Or PRelu Pad Pow RandomNormal RandomNormalLike RandomUniform
  RandomUniformLike Range Reciprocal Relu Reshape Resize Round ScatterElements ScatterND Selu SequenceAt Shape Sigmoid
  Sign Sin Sinh Size Slice Softplus Softsign SpaceToDepth SplitToSequence Sqrt Sub Sum Tan Tanh ThresholdedRelu Tile
  TopK Transpose Trilu Where Xor`.split(/\s+/),
)

const unchangedSince13 = new Set(
  'Bernoulli Hardmax LRN LpNormalization MeanVarianceNormalization Multinomial'.split(' '),
)

const reductions = new Set(
  'ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSumSquare'.split(' '),
)

/** Opset from which on a list of integers is an input and no attribute: Squeeze takes its axes from outside since 13. */
const inputSince = (op: string): { readonly name: string; readonly opset: number } | undefined => {
  if (op === 'Split') return { name: 'split', opset: 13 }
  if (op === 'Squeeze' || op === 'Unsqueeze' || op === 'ReduceSum') return { name: 'axes', opset: 13 }
  return reductions.has(op) ? { name: 'axes', opset: 18 } : undefined
}

/**
 * The graph written in opset 18, or as it is where it is newer. Throws OPSET_UNSUPPORTED naming a node whose operator
 * changed its meaning.
 */
export const liftOpset = (graph: Graph, opset: number): { readonly graph: Graph; readonly opset: number } => {
  if (opset >= emittedOpset) return { graph, opset }
  const taken = [...graph.inputs, ...graph.outputs].map(({ name }) => name)
  const names = graph.nodes.flatMap(({ inputs, outputs }) => [...inputs, ...outputs])
  const emitter = new Emitter([...taken, ...names, ...graph.constants.keys()])
  for (const node of graph.nodes) {
    for (const lifted of lift(node, opset, emitter)) emitter.nodes.push(lifted)
  }
  const constants = new Map([...graph.constants, ...emitter.constants])
  return { graph: { ...graph, nodes: [...emitter.nodes], constants }, opset: emittedOpset }
}

const lift = (node: Node, opset: number, emitter: Emitter): Node[] => {
  const list = inputSince(node.op)
  if (list !== undefined) return [withListAsInput(node, opset, list, emitter)]
  if (node.op === 'Softmax' || node.op === 'LogSoftmax') return opset < 13 ? liftSoftmax(node, emitter) : [node]
  if (node.op === 'Dropout') return opset < 12 ? [liftDropout(node)] : [node]
  if (node.op === 'BatchNormalization') return [opset < 14 ? liftBatchNormalization(node) : node]
  if (unchanged.has(node.op) || (opset >= 13 && unchangedSince13.has(node.op))) return [node]
  throw new OnnxModelError(
    'OPSET_UNSUPPORTED',
    `Operator ${shorten(node.op)} may mean something else in opset ${opset} than in ${emittedOpset}`,
    `Export the model with opset_version=${emittedOpset}.`,
    { nodeName: nodeLabel(node) },
  )
}

const without = (node: Node, ...names: string[]): Node['attributes'] =>
  new Map([...node.attributes].filter(([name]) => !names.includes(name)))

const withListAsInput = (
  node: Node,
  opset: number,
  list: { readonly name: string; readonly opset: number },
  emitter: Emitter,
): Node => {
  const values = opset < list.opset ? intsAttribute(node, list.name) : undefined
  const attributes = opset < list.opset ? without(node, list.name) : node.attributes
  const inputs = values === undefined ? node.inputs : [node.inputs[0] ?? '', emitter.int64s(values)]
  // Without sizes, opset 18 wants to be told the number of parts, which is the number of outputs.
  if (node.op === 'Split' && (inputs[1] ?? '') === '') {
    return { ...node, inputs, attributes: new Map([...attributes, ['num_outputs', { int: node.outputs.length }]]) }
  }
  return { ...node, inputs, attributes }
}

/** Before opset 13 everything from the axis on was one row. */
const liftSoftmax = (node: Node, emitter: Emitter): Node[] => {
  const axis = intAttribute(node, 'axis', 1)
  if (axis === -1) return [node]
  const [x = ''] = node.inputs
  return emitter.capture(() => {
    const flat = emitter.emit('Flatten', [x], { axis })
    const rows = emitter.emit(node.op, [flat], { axis: 1 })
    emitter.define(node.outputs, 'Reshape', [rows, emitter.call('Shape', x)])
  })
}

/** Before opset 12 there was no training mode, so it never did anything. */
const liftDropout = (node: Node): Node => ({
  ...node,
  op: 'Identity',
  inputs: node.inputs.slice(0, 1),
  outputs: node.outputs.slice(0, 1),
  attributes: new Map(),
})

/** Before opset 14 it was in training mode when it had outputs for the statistics. */
const liftBatchNormalization = (node: Node): Node => ({
  ...node,
  outputs: node.outputs.slice(0, 3),
  attributes: new Map([
    ...without(node, 'training_mode'),
    ['training_mode', { int: node.outputs.filter(name => name !== '').length > 1 ? 1 : 0 }],
  ]),
})
