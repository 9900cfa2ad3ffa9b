import { differentiate } from './differentiate.ts'
import { Emitter } from './emitter.ts'
import type { Forward } from './forward.ts'
import type { Node } from './graph.ts'
import { emitLoss } from './losses/emit-loss.ts'
import { expectOutput } from './losses/expect-output.ts'
import type { FloatDType, LabelType, LossOptions } from './losses/loss.ts'
import { emitTrainingLoss, type TrainingLoss } from './losses/training-loss.ts'
import { expandBatchNormalization } from './lowering/expand-batch-normalization.ts'
import { inferAndLower } from './lowering/infer-and-lower.ts'
import { OnnxModelError, shorten } from './onnx-model-error.ts'
import { type EmittedUpdates, emitUpdates } from './optimisers/emit-updates.ts'
import { foldAccumulationIntoGemm } from './optimisers/fold-accumulation-into-gemm.ts'
import type { CarriedState, OptimizerOptions } from './optimisers/optimiser.ts'
import { optimiserOf } from './optimisers/optimiser-of.ts'
import type { Parameter } from './parameters.ts'
import { shareCommonSubexpressions } from './passes/common-subexpressions.ts'
import { dropDeadCode } from './passes/dead-code.ts'
import { foldUpdateIntoGemm } from './passes/fold-update-into-gemm.ts'
import { mergeMovements } from './passes/merge-movements.ts'
import { shareConstants } from './passes/share-constants.ts'
import { swapReluAndMaxPool } from './passes/swap-relu-max-pool.ts'
import type { Runner } from './runner.ts'
import { isRandom, seedRandom } from './seed-random.ts'
import type { Tensor } from './tensor.ts'

/** What a train step is made of beside the forward graph. */
export type StepOptions = {
  readonly loss: LossOptions
  readonly optimizer: OptimizerOptions
  readonly clippingNorm: number | undefined
  readonly proximal: number | undefined
  readonly correction: boolean
  readonly sampleWeights: boolean
  /** Names of the parameters and running statistics that change. */
  readonly trainable: ReadonlySet<string>
  /** Of what the forward graph draws (Dropout's masks). */
  readonly seed: number
}

/** A tensor that the step reads under `name` and writes under `updated`. */
export type CarriedParameter = Parameter & { readonly updated: string }

/** A tensor that belongs to a parameter and is the same in every step. */
export type FixedTensor = { readonly parameter: Parameter; readonly name: string }

/** One optimiser step as nodes over free names, before it is wrapped into a model of its own or into a loop. */
export type TrainStep = {
  readonly forward: Forward
  readonly emitter: Emitter
  readonly nodes: readonly Node[]
  readonly dtype: FloatDType
  /** Free names that the wrapper defines: labels [B, …], scalar, scalar B as a float, weights [B]. */
  readonly labels: string
  readonly learningRate: string
  readonly batchSize: string
  readonly sampleWeights: string | undefined
  readonly label: LabelType
  readonly loss: TrainingLoss
  /** In manifest order: parameters that train, and running statistics. */
  readonly carried: readonly CarriedParameter[]
  readonly frozen: readonly Parameter[]
  readonly state: readonly CarriedState[]
  /** FedProx: the weights that the round began with. SCAFFOLD: c − cᵢ. Both of trained parameters only. */
  readonly anchors: readonly FixedTensor[]
  readonly corrections: readonly FixedTensor[]
  /** Whether the step draws numbers. */
  readonly random: boolean
}

/** Builds forward pass, loss, gradients and update of one step, and optimises them. Throws OnnxModelError. */
export const buildTrainStep = async (prepared: Forward, options: StepOptions, runner: Runner): Promise<TrainStep> => {
  const { output, folded, parameters, opset } = prepared
  const swapped = { ...prepared.graph, nodes: swapReluAndMaxPool(prepared.graph.nodes, [output]) }
  const frozen = parameters.filter(({ name }) => !options.trainable.has(name))
  const frozenNames = new Set(frozen.map(({ name }) => name))
  const { graph, values, buffers } = await inferAndLower(swapped, parameters, opset, runner, frozenNames)
  const forward: Forward = { ...prepared, graph }
  const { dtype, shape } = expectOutput(values.get(output))
  const emitter = new Emitter(values.keys())
  const [labels, learningRate, batchSize, weights] = ['labels', 'learning_rate', 'batch_size', 'sample_weights'].map(
    name => emitter.fresh(name),
  ) as [string, string, string, string]
  const sampleWeights = options.sampleWeights ? weights : undefined

  const terms = emitLoss({ emitter, output, dtype, shape, labels, folded }, options.loss)
  const loss = emitTrainingLoss(emitter, terms, { dtype, rank: shape.length, size: batchSize, sampleWeights })
  const optimiser = optimiserOf(options.optimizer, options.clippingNorm !== undefined)
  const factor =
    optimiser.gradientFactor === 'minus-learning-rate'
      ? emitter.emit('Neg', [learningRate])
      : emitter.scalar(dtype, optimiser.gradientFactor)
  const seed = loss.emitSeed(emitter.emit('Div', [factor, loss.normaliser]))

  const carried = parameters
    .filter(({ name }) => options.trainable.has(name))
    .map(parameter => ({ ...parameter, updated: emitter.fresh(`${parameter.name}.updated`) }))
  const trained = carried.filter(({ buffer }) => buffer !== true)
  const gradients = differentiate(emitter, {
    nodes: graph.nodes,
    values,
    parameters: trained.map(({ name }) => name),
    output,
    seed,
    batchSize,
  })
  if (gradients.size === 0) refuseUntrainable(output)
  const updates = emitUpdates({ emitter, dtype, learningRate }, optimiser, trained, gradients, options)
  for (const { name, buffer, updated } of carried) {
    if (buffer === true) emitter.define([updated], 'Identity', [buffers.get(name) ?? name])
    else if (!gradients.has(name)) emitter.define([updated], 'Identity', [name])
  }
  const results = [
    ...carried.map(({ updated }) => updated),
    ...updates.state.map(({ updated }) => updated),
    loss.perStep,
    loss.normaliser,
  ]
  const all = expandBatchNormalization([...graph.nodes, ...emitter.nodes], emitter, values)
  const constants = new Map([...graph.constants, ...emitter.constants])
  const nodes = seedRandom(optimise(all, results, trained, updates, constants), options.seed)
  return {
    forward,
    emitter,
    nodes,
    random: nodes.some(isRandom),
    dtype,
    labels,
    learningRate,
    batchSize,
    sampleWeights,
    label: terms.label,
    loss,
    carried,
    frozen,
    ...updates,
  }
}

const refuseUntrainable = (output: string): never => {
  throw new OnnxModelError(
    'NO_PARAMETERS',
    `No parameter that trains changes "${shorten(output)}" by a slope: each is unused, or read by its shape or as integers only`,
    'Choose parameters that lead to the output, or an output that they lead to.',
  )
}

const optimise = (
  all: readonly Node[],
  results: readonly string[],
  trained: readonly CarriedParameter[],
  { state, bases }: EmittedUpdates,
  constants: ReadonlyMap<string, Tensor>,
): Node[] => {
  const moved = mergeMovements(shareConstants(all, constants), constants, results)
  const shared = shareCommonSubexpressions(dropDeadCode(moved, results), results)
  const accumulators = new Map(state.map(({ name, updated }) => [updated, name]))
  const accumulated = foldAccumulationIntoGemm(shared, accumulators, constants, results)
  return foldUpdateIntoGemm(accumulated, new Set([...trained.map(({ name }) => name), ...bases]), results)
}
