import { Emitter } from './emitter.ts'
import { evaluationMode } from './evaluation-mode.ts'
import { prepareForward } from './forward.ts'
import type { ModelProto } from './gen/onnx_pb.ts'
import { modelFromGraph } from './graph-to-proto.ts'
import { inferValues } from './infer-values.ts'
import { emitLoss, foldedActivations } from './losses/emit-loss.ts'
import { emitEvaluation } from './losses/evaluation.ts'
import { expectOutput } from './losses/expect-output.ts'
import { type FloatDType, type LabelType, type LossChoice, lossOptions } from './losses/loss.ts'
import type { Parameter } from './parameters.ts'
import { dropDeadCode } from './passes/dead-code.ts'
import { declarationOf, type Port, port } from './ports.ts'
import type { Runner } from './runner.ts'
import { writeModel } from './write-model.ts'

export type EvaluationOptions = {
  /** @default softmax-cross-entropy */
  readonly loss?: LossChoice
  /** Value of the graph that the loss is computed from. @default its only output */
  readonly output?: string | undefined
}

/**
 * An evaluation graph; `inputs` and `outputs` describe what goes in and comes out. Feeds: every parameter under its
 * name, `features` [B, ...exampleShape], `labels` [B, ...label.shape]. Fetches, each [B], one number an example:
 * `losses`, the mean loss over the example's positions, and by kind of label
 * - class-index: `hits` int32, positions whose label is the class of the highest score (the first of equal ones), of
 *   `counted` int32 positions that are not ignored: one and one for plain classification;
 * - binary: `hits` and `counted` likewise, where a label above ½ is met by a logit above 0;
 * - real: `absoluteErrors`, the mean of |output − label|.
 * Beside them `scores`, what the loss is computed from: logits or log-probabilities [B, …label.shape, classes], the classes last,
 * or numbers [B, …label.shape].
 * The caller adds them up, so that sums are exact however the data was cut into batches.
 */
export type CompiledEvaluation = {
  readonly model: Uint8Array
  readonly inputs: readonly Port[]
  readonly outputs: readonly Port[]
  readonly parameters: readonly Parameter[]
  readonly exampleShape: readonly number[]
  readonly featuresDtype: Port['dtype']
  readonly label: LabelType
  /** Number of classes of integer labels; 0 where labels are no classes. */
  readonly classes: number
  readonly dtype: FloatDType
  readonly features: string
  readonly labels: string
  readonly losses: string
  /** Empty names for real labels. */
  readonly hits: string
  readonly counted: string
  /** Empty for labels that are not real. */
  readonly absoluteErrors: string
  readonly scores: string
}

/** Compiles the evaluation graph of a forward graph, in the mode in which it predicts. Throws OnnxModelError. */
export const compileEvaluation = async (
  model: ModelProto,
  runner: Runner,
  options: EvaluationOptions = {},
): Promise<CompiledEvaluation> => {
  const loss = lossOptions(options.loss ?? 'softmax-cross-entropy')
  const forward = prepareForward(model, { output: options.output, folds: foldedActivations(loss) })
  const { parameters, features, exampleShape, output, folded, opset } = forward
  const graph = evaluationMode(forward.graph)
  const values = await inferValues(graph, parameters, opset, runner)
  const { dtype, shape } = expectOutput(values.get(output))
  const emitter = new Emitter(values.keys())
  const labels = emitter.fresh('labels')
  const context = { emitter, output, dtype, shape, labels, folded }
  const terms = emitLoss(context, loss)
  const { label } = terms
  const outputs = emitEvaluation(context, terms, loss)
  const inputs = [
    ...parameters.map(parameter => port('parameter', parameter, parameter.name)),
    port('features', { ...features, shape: ['batch', ...exampleShape] }),
    port('labels', { name: labels, dtype: label.dtype, shape: ['batch', ...label.shape] }),
  ]
  const named = (role: Port['role']): string => outputs.find(port => port.role === role)?.name ?? ''
  const evaluation = {
    name: 'evaluation',
    inputs: inputs.map(declarationOf),
    outputs: outputs.map(declarationOf),
    constants: new Map([...graph.constants, ...emitter.constants]),
    nodes: dropDeadCode(
      [...graph.nodes, ...emitter.nodes],
      outputs.map(({ name }) => name),
    ),
  }
  return {
    model: writeModel(modelFromGraph(evaluation, opset)),
    inputs,
    outputs,
    parameters,
    exampleShape,
    featuresDtype: features.dtype,
    label,
    classes: label.classes ?? 0,
    dtype,
    features: features.name,
    labels,
    losses: named('loss-of-example'),
    hits: named('hits'),
    counted: named('counted'),
    absoluteErrors: named('absolute-error'),
    scores: named('scores'),
  }
}
