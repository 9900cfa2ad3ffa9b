import { prepareForward } from './forward.ts'
import type { ModelProto } from './gen/onnx_pb.ts'
import { modelFromGraph } from './graph-to-proto.ts'
import { loopify } from './loopify.ts'
import { foldedActivations } from './losses/emit-loss.ts'
import { type FloatDType, type LabelType, type LossChoice, lossOptions } from './losses/loss.ts'
import { type OptimizerChoice, optimizerOptions } from './optimisers/optimiser.ts'
import type { Parameter } from './parameters.ts'
import type { Port, PortRole } from './ports.ts'
import type { Runner } from './runner.ts'
import { singleStep } from './single-step.ts'
import { buildTrainStep } from './train-step.ts'
import { chosenParameters, type TrainableChoice } from './trainable.ts'
import { writeModel } from './write-model.ts'

export type TrainingOptions = {
  readonly loss: LossChoice
  readonly optimizer: OptimizerChoice
  /** One step over a given batch, or K steps over rows that the graph gathers from the device's data. */
  readonly form: 'step' | 'loop'
  /** The gradient of every batch is scaled down to this norm over all parameters. @default not clipped */
  readonly clippingNorm?: number | undefined
  /** μ of FedProx: the weights are held near `anchors`. @default 0, no anchors */
  readonly proximal?: number | undefined
  /** SCAFFOLD: `corrections` come in and are added to every gradient. @default false */
  readonly correction?: boolean
  /** Every example has a weight, of which 0 is none. @default false: all weigh 1 */
  readonly sampleWeights?: boolean
  /** @default every parameter */
  readonly trainable?: TrainableChoice
  /** Of what the model draws in training (Dropout's masks), an unsigned 32-bit integer. @default 1 */
  readonly seed?: number
  /** Value of the graph that the loss is computed from. @default its only output */
  readonly output?: string | undefined
}

/** A tensor of a compiled graph that changes: fed under `input`, its new value fetched under `output`. */
export type TrainedParameter = Parameter & { readonly input: string; readonly output: string }

/** A tensor of the optimiser; all zeros before the first step of a round. */
export type StateTensor = {
  /** The parameter it belongs to, if to one. */
  readonly parameter?: string
  readonly dtype: FloatDType
  readonly shape: readonly number[]
  readonly input: string
  readonly output: string
}

/** A tensor that belongs to a parameter, is fed under `input` and does not change. */
export type FixedParameter = Parameter & { readonly input: string }

/**
 * A train-step graph and everything needed to run it. `inputs` are to be fed and `outputs` can be fetched, each
 * described; the other fields pick from them. Feeds: `parameters`, `frozen`, `state` (zeros at first), `anchors` and
 * `corrections` where there are any; `features` [n, ...exampleShape]; `labels` [n, ...label.shape] (classes each within
 * 0 … classes − 1); `learningRate` scalar of `dtype`; `sampleWeights` [n] where asked for; in loop form `order` int32
 * [steps, B], the rows of each minibatch. Fetches: the new values of `parameters` and `state`, and `losses`, the mean
 * loss of each step before its update, [steps] in loop form and scalar otherwise. B is free: a smaller last batch of an
 * epoch is one more run with order [1, rest], which costs no padding, no sample weights and no second graph.
 */
export type CompiledTraining = {
  readonly model: Uint8Array
  readonly inputs: readonly Port[]
  readonly outputs: readonly Port[]
  /** What changes, in manifest order: weights that train, and running statistics (`buffer`). */
  readonly parameters: readonly TrainedParameter[]
  readonly frozen: readonly FixedParameter[]
  readonly state: readonly StateTensor[]
  readonly anchors: readonly FixedParameter[]
  readonly corrections: readonly FixedParameter[]
  readonly exampleShape: readonly number[]
  readonly featuresDtype: Port['dtype']
  readonly label: LabelType
  /** Number of classes of integer labels; 0 where labels are no classes. */
  readonly classes: number
  readonly dtype: FloatDType
  readonly features: string
  readonly labels: string
  readonly learningRate: string
  readonly sampleWeights?: string
  /** Only in loop form. */
  readonly order?: string
  readonly losses: string
  /**
   * Whether the model draws numbers in training. Then the same seed gives the same bytes only in a session of its own:
   * the runtime goes on drawing from run to run.
   */
  readonly random: boolean
}

/**
 * Compiles a forward graph (with or without its weights) into a graph of standard ONNX operators that trains it.
 * Pure but for `runner`, which runs the forward graph at two batch sizes to learn shapes. Throws OnnxModelError.
 */
export const compileTraining = async (
  model: ModelProto,
  options: TrainingOptions,
  runner: Runner,
): Promise<CompiledTraining> => {
  const loss = lossOptions(options.loss)
  const forward = prepareForward(model, { output: options.output, folds: foldedActivations(loss) })
  const stepOptions = {
    loss,
    optimizer: optimizerOptions(options.optimizer),
    clippingNorm: options.clippingNorm,
    proximal: options.proximal,
    correction: options.correction ?? false,
    sampleWeights: options.sampleWeights ?? false,
    seed: options.seed ?? 1,
    trainable: chosenParameters(forward.parameters, options.trainable ?? {}),
  }
  const step = await buildTrainStep(forward, stepOptions, runner)
  const { graph, inputs, outputs } = options.form === 'loop' ? loopify(step) : singleStep(step)
  const named = (role: PortRole): string | undefined => inputs.find(port => port.role === role)?.name
  const carried = step.carried.map(({ updated: _, ...parameter }, index) => ({
    ...parameter,
    input: inputs[index]?.name ?? '',
    output: outputs[index]?.name ?? '',
  }))
  const fixed = (tensors: readonly { readonly parameter: Parameter; readonly name: string }[]) =>
    tensors.map(({ parameter, name }) => ({ ...plain(parameter), input: name }))
  const [sampleWeights, order] = [named('sample-weights'), named('order')]
  return {
    model: writeModel(modelFromGraph(graph, forward.opset)),
    inputs,
    outputs,
    parameters: carried,
    frozen: step.frozen.map(parameter => ({ ...parameter, input: parameter.name })),
    state: step.state.map(({ parameter, dtype, shape }, index) => ({
      ...(parameter === undefined ? {} : { parameter }),
      dtype,
      shape,
      input: inputs[carried.length + index]?.name ?? '',
      output: outputs[carried.length + index]?.name ?? '',
    })),
    anchors: fixed(step.anchors),
    corrections: fixed(step.corrections),
    exampleShape: forward.exampleShape,
    featuresDtype: forward.features.dtype,
    label: step.label,
    classes: step.label.classes ?? 0,
    dtype: step.dtype,
    features: named('features') ?? '',
    labels: named('labels') ?? '',
    learningRate: step.learningRate,
    ...(sampleWeights === undefined ? {} : { sampleWeights }),
    ...(order === undefined ? {} : { order }),
    losses: outputs.at(-1)?.name ?? '',
    random: step.random,
  }
}

const plain = ({ name, dtype, shape, buffer }: Parameter): Parameter => ({
  name,
  dtype,
  shape,
  ...(buffer === undefined ? {} : { buffer }),
})
