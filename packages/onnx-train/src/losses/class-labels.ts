import { OnnxModelError } from '../onnx-model-error.ts'
import { castTarget } from '../onnx-types.ts'
import { exampleSizes, showShape } from './expect-output.ts'
import type { LabelType, LossContext } from './loss.ts'

/** What losses over classes share: one-hot labels in the shape of the scores, and the mask of ignored positions. */
export type ClassLabels = {
  readonly axis: number
  readonly label: LabelType & { readonly classes: number }
  /** Whether the class is the position's label, in the shape of the scores; and the same as 1 and 0 of their dtype. */
  readonly isLabel: string
  readonly oneHot: string
  /** 1 where the position counts, the class axis being 1. Only with an ignored label. */
  readonly mask?: string
  readonly positions: number
}

/**
 * Equal against a row of class numbers: OneHot has no double kernel in the runtime.
 * Throws OUTPUTS_UNSUPPORTED where the output has no such axis.
 */
export const emitClassLabels = (
  context: LossContext,
  { classAxis = -1, ignoreIndex }: { readonly classAxis?: number; readonly ignoreIndex?: number },
): ClassLabels => {
  const { emitter, dtype, shape, labels } = context
  const axis = classAxisOf(context, classAxis)
  const classes = Number(shape[axis])
  const columns = emitter.constant(
    {
      dtype: 'int32',
      // Trailing axes of size 1 put the classes where the scores have them.
      shape: [classes, ...shape.slice(axis + 1).map(() => 1)],
      data: Int32Array.from({ length: classes }, (_, index) => index),
    },
    'columns',
  )
  const column = emitter.emit('Unsqueeze', [labels, emitter.int64s([axis])])
  const isLabel = emitter.emit('Equal', [column, columns])
  const oneHot = emitter.emit('Cast', [isLabel], { to: castTarget[dtype] })
  const sizes = exampleSizes(shape).toSpliced(axis - 1, 1)
  const positions = sizes.reduce((product, size) => product * size, 1)
  const label = { kind: 'class-index', dtype: 'int32', shape: sizes, classes } as const
  if (ignoreIndex === undefined) return { axis, label, isLabel, oneHot, positions }
  const ignored = emitter.constant({ dtype: 'int32', shape: [], data: Int32Array.of(ignoreIndex) }, 'ignored')
  const counts = emitter.emit('Not', [emitter.emit('Equal', [column, ignored])])
  const mask = emitter.emit('Cast', [counts], { to: castTarget[dtype] })
  return { axis, label, isLabel, oneHot, mask, positions }
}

const classAxisOf = ({ shape, folded }: LossContext, classAxis: number): number => {
  const axis = classAxis < 0 ? classAxis + shape.length : classAxis
  if (!Number.isInteger(axis) || axis < 1 || axis >= shape.length) {
    throw new OnnxModelError(
      'OUTPUTS_UNSUPPORTED',
      `The output has the shape ${showShape(shape)}, which has no axis ${classAxis} of classes`,
      'Softmax cross-entropy needs one float32 score per class: [batch, classes], or [batch, positions, classes].',
    )
  }
  const normalised = folded === undefined || folded.axis >= 0 ? folded?.axis : folded.axis + shape.length
  if (normalised === undefined) return axis
  if (normalised === axis && !(folded?.flattens === true && axis < shape.length - 1)) return axis
  throw new OnnxModelError(
    'OUTPUTS_UNSUPPORTED',
    `The final ${folded?.op} runs over axis ${normalised}, the classes are on axis ${axis}`,
    `Set the class axis of the loss to ${normalised}, or take the ${folded?.op} off the model.`,
  )
}
