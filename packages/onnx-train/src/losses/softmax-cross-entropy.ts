import type { Emitter } from '../emitter.ts'

/** What both training and evaluation need of softmax cross-entropy over logits [B, C] and int32 labels [B]. */
export type SoftmaxCrossEntropy = {
  /** log softmax(logits), [B, C]. */
  readonly logProbabilities: string
  /** 1 where the column is the row's label, [B, C], in the dtype of the logits. */
  readonly oneHot: string
}

/** ONNX element type codes, for Cast. */
export const castTarget = { float32: 1, float64: 11 } as const

/** Equal against a row of column numbers: OneHot has no double kernel in the runtime. */
export const emitSoftmaxCrossEntropy = (
  emitter: Emitter,
  logits: string,
  labels: string,
  classes: number,
  dtype: 'float32' | 'float64',
): SoftmaxCrossEntropy => {
  const columns = emitter.constant(
    { dtype: 'int32', shape: [classes], data: Int32Array.from({ length: classes }, (_, index) => index) },
    'columns',
  )
  const labelColumn = emitter.emit('Unsqueeze', [labels, emitter.int64s([1])])
  const oneHot = emitter.emit('Cast', [emitter.emit('Equal', [labelColumn, columns])], { to: castTarget[dtype] })
  return { logProbabilities: emitter.emit('LogSoftmax', [logits], { axis: 1 }), oneHot }
}

/** d(ΣCE)/d(logits) = softmax(logits) − oneHot, times a scalar that holds 1/B and whatever the optimiser folds in. */
export const emitCrossEntropySeed = (emitter: Emitter, parts: SoftmaxCrossEntropy, scale: string): string => {
  const probabilities = emitter.emit('Exp', [parts.logProbabilities])
  return emitter.emit('Mul', [emitter.emit('Sub', [probabilities, parts.oneHot]), scale])
}

/** Σ log p(label) over the batch, a scalar: minus the summed loss. */
export const emitLogLikelihood = (emitter: Emitter, parts: SoftmaxCrossEntropy): string =>
  emitter.emit('ReduceSum', [emitter.emit('Mul', [parts.logProbabilities, parts.oneHot])], { keepdims: 0 })
