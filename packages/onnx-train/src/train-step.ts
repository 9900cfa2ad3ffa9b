import { differentiate } from './differentiate.ts'
import { Emitter } from './emitter.ts'
import type { Forward } from './forward.ts'
import type { Node } from './graph.ts'
import { emitCrossEntropySeed, emitLogLikelihood, emitSoftmaxCrossEntropy } from './losses/softmax-cross-entropy.ts'
import { inferAndLower } from './lowering/infer-and-lower.ts'
import { OnnxModelError } from './onnx-model-error.ts'
import { sgd } from './optimisers/sgd.ts'
import { shareCommonSubexpressions } from './passes/common-subexpressions.ts'
import { dropDeadCode } from './passes/dead-code.ts'
import { foldUpdateIntoGemm } from './passes/fold-update-into-gemm.ts'
import { swapReluAndMaxPool } from './passes/swap-relu-max-pool.ts'
import type { Runner } from './runner.ts'
import type { ValueType } from './values.ts'

/** One optimiser step as nodes over free names, before it is wrapped into a model of its own or into a loop. */
export type TrainStep = {
  readonly forward: Forward
  readonly emitter: Emitter
  readonly nodes: readonly Node[]
  /** Free names that the wrapper defines: int32 [B], scalar, scalar B as a float. */
  readonly labels: string
  readonly learningRate: string
  readonly batchSize: string
  /** New value of each parameter, in manifest order. */
  readonly updated: readonly string[]
  /** Scalar: Σ log p(label) over the batch. */
  readonly logLikelihood: string
  readonly dtype: 'float32' | 'float64'
  readonly classes: number
}

/** Builds forward pass, loss, gradients and update of one step, and optimises them. Throws OnnxModelError. */
export const buildTrainStep = async (prepared: Forward, runner: Runner): Promise<TrainStep> => {
  const { logits, parameters, opset } = prepared
  const swapped = { ...prepared.graph, nodes: swapReluAndMaxPool(prepared.graph.nodes, [logits]) }
  const { graph, values } = await inferAndLower(swapped, parameters, opset, runner)
  const forward: Forward = { ...prepared, graph }
  const { dtype, classes } = logitsType(values.get(logits))
  const emitter = new Emitter(values.keys())
  const [labels, learningRate, batchSize] = ['labels', 'learning_rate', 'batch_size'].map(name =>
    emitter.fresh(name),
  ) as [string, string, string]
  const loss = emitSoftmaxCrossEntropy(emitter, logits, labels, classes, dtype)
  const logLikelihood = emitLogLikelihood(emitter, loss)
  const seed = emitCrossEntropySeed(emitter, loss, sgd.emitSeedScale(emitter, learningRate, batchSize))
  const names = parameters.map(({ name }) => name)
  const steps = differentiate(emitter, { nodes: forward.graph.nodes, values, parameters: names, output: logits, seed })
  const updated = names.map(name => {
    const step = steps.get(name)
    return step === undefined ? emitter.emit('Identity', [name]) : sgd.emitUpdate(emitter, name, step)
  })
  const results = [...updated, logLikelihood]
  const all = [...forward.graph.nodes, ...emitter.nodes]
  const shared = shareCommonSubexpressions(dropDeadCode(all, results), results)
  const nodes = foldUpdateIntoGemm(shared, new Set(names), results)
  return { forward, emitter, nodes, labels, learningRate, batchSize, updated, logLikelihood, dtype, classes }
}

/** Dtype and number of classes of the logits. Throws OUTPUTS_UNSUPPORTED unless they are [batch, classes]. */
export const logitsType = (type: ValueType | undefined): { dtype: 'float32' | 'float64'; classes: number } => {
  const [batch, classes] = type?.shape ?? []
  const perExample = typeof batch === 'object' ? batch.perExample : 0
  const dtype = type?.dtype
  if (type?.shape.length === 2 && perExample === 1 && typeof classes === 'number' && classes > 0) {
    if (dtype === 'float32' || dtype === 'float64') return { dtype, classes }
  }
  throw new OnnxModelError(
    'OUTPUTS_UNSUPPORTED',
    `The output has dtype ${dtype} and shape [${type?.shape.map(size => (typeof size === 'object' ? 'batch' : size)).join()}]`,
    'Softmax cross-entropy needs one float32 score per class: [batch, classes].',
  )
}
