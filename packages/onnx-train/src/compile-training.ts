import { prepareForward } from './forward.ts'
import type { ModelProto } from './gen/onnx_pb.ts'
import { modelFromGraph } from './graph-to-proto.ts'
import { loopify } from './loopify.ts'
import type { Parameter } from './parameters.ts'
import type { Runner } from './runner.ts'
import { singleStep } from './single-step.ts'
import { buildTrainStep } from './train-step.ts'
import { writeModel } from './write-model.ts'

export type TrainingOptions = {
  readonly loss: 'softmax-cross-entropy'
  readonly optimizer: 'sgd'
  /** One step over a given batch, or K steps over rows that the graph gathers from the device's data. */
  readonly form: 'step' | 'loop'
}

/** A parameter of a compiled graph: fed under `input`, its new value fetched under `output`. */
export type TrainedParameter = Parameter & { readonly input: string; readonly output: string }

/**
 * A train-step graph. Feeds, all named here: every parameter; `features` [n, ...exampleShape]; `labels` int32 [n], each
 * within 0 … classes − 1; `learningRate` scalar of `dtype`; in loop form `order` int32 [steps, B], the rows of each
 * minibatch. Fetches: every parameter's new value and `losses`, the mean loss of each step before its update, [steps]
 * in loop form and scalar otherwise. B is free: a smaller last batch of an epoch is one more run with order [1, rest],
 * which is the true smaller batch and costs no padding, no sample weights and no second graph.
 */
export type CompiledTraining = {
  readonly model: Uint8Array
  readonly parameters: readonly TrainedParameter[]
  readonly exampleShape: readonly number[]
  readonly classes: number
  readonly dtype: 'float32' | 'float64'
  readonly features: string
  readonly labels: string
  readonly learningRate: string
  /** Only in loop form. */
  readonly order?: string
  readonly losses: string
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
  const step = await buildTrainStep(prepareForward(model), runner)
  const { parameters, exampleShape, opset } = step.forward
  const { graph, ...names } = options.form === 'loop' ? loopify(step) : singleStep(step)
  return {
    model: writeModel(modelFromGraph(graph, opset)),
    parameters: parameters.map((parameter, index) => ({
      ...parameter,
      input: graph.inputs[index]?.name ?? '',
      output: graph.outputs[index]?.name ?? '',
    })),
    exampleShape,
    classes: step.classes,
    dtype: step.dtype,
    ...names,
  }
}
