import { Emitter } from './emitter.ts'
import { prepareForward } from './forward.ts'
import type { ModelProto } from './gen/onnx_pb.ts'
import { modelFromGraph } from './graph-to-proto.ts'
import { inferValues } from './infer-values.ts'
import { emitSoftmaxCrossEntropy } from './losses/softmax-cross-entropy.ts'
import type { Parameter } from './parameters.ts'
import type { Runner } from './runner.ts'
import { logitsType } from './train-step.ts'
import { writeModel } from './write-model.ts'

/**
 * An evaluation graph. Feeds: every parameter under its name, `features` [B, ...exampleShape], `labels` int32 [B].
 * Fetches: `hits` int32 [B], 1 where the label is the class of the highest score (the first of equal ones), and
 * `losses` [B], the cross-entropy of each example. The caller adds them up, so that sums are exact however the data
 * was cut into batches.
 */
export type CompiledEvaluation = {
  readonly model: Uint8Array
  readonly parameters: readonly Parameter[]
  readonly exampleShape: readonly number[]
  readonly classes: number
  readonly dtype: 'float32' | 'float64'
  readonly features: string
  readonly labels: string
  readonly hits: string
  readonly losses: string
}

/** Compiles the evaluation graph of a forward graph for softmax cross-entropy. Throws OnnxModelError. */
export const compileEvaluation = async (model: ModelProto, runner: Runner): Promise<CompiledEvaluation> => {
  const { graph, parameters, features, exampleShape, logits, opset } = prepareForward(model)
  const values = await inferValues(graph, parameters, opset, runner)
  const { dtype, classes } = logitsType(values.get(logits))
  const emitter = new Emitter(values.keys())
  const [labels, hits, losses] = ['labels', 'hits', 'losses'].map(name => emitter.fresh(name)) as [
    string,
    string,
    string,
  ]
  const { logProbabilities, oneHot } = emitSoftmaxCrossEntropy(emitter, logits, labels, classes, dtype)
  const likelihood = emitter.emit('Mul', [logProbabilities, oneHot])
  emitter.define([losses], 'Neg', [emitter.emit('ReduceSum', [likelihood, emitter.int64s([1])], { keepdims: 0 })])
  const predicted = emitter.emit('Cast', [emitter.emit('ArgMax', [logits], { axis: 1, keepdims: 0 })], { to: 6 })
  emitter.define([hits], 'Cast', [emitter.emit('Equal', [predicted, labels])], { to: 6 })
  const evaluation = {
    name: 'evaluation',
    inputs: [
      ...parameters,
      { ...features, shape: ['batch', ...exampleShape] },
      { name: labels, dtype: 'int32' as const, shape: ['batch'] },
    ],
    outputs: [
      { name: hits, dtype: 'int32' as const, shape: ['batch'] },
      { name: losses, dtype, shape: ['batch'] },
    ],
    constants: new Map([...graph.constants, ...emitter.constants]),
    nodes: [...graph.nodes, ...emitter.nodes],
  }
  return {
    model: writeModel(modelFromGraph(evaluation, opset)),
    parameters,
    exampleShape,
    classes,
    dtype,
    features: features.name,
    labels,
    hits,
    losses,
  }
}
