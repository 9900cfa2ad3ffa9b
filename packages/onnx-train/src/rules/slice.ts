import { stringAttribute } from '../graph.ts'
import { constantInts, fixedSize } from './constant-operand.ts'
import type { GradientContext, GradientRule } from './gradient-rule.ts'
import { unsupportedForm } from './window.ts'

/** Slice: the gradient is put back where its elements were taken, zeros elsewhere. */
export const sliceGradient: GradientRule = context => {
  const { node, typeOf } = context
  const [x = ''] = node.inputs
  const rank = typeOf(x).shape.length
  const starts = constantInts(context, 1, 'starts') ?? []
  const ends = constantInts(context, 2, 'ends') ?? []
  const axes = (constantInts(context, 3, 'axes') ?? starts.map((_, axis) => axis)).map(axis =>
    axis < 0 ? axis + rank : axis,
  )
  const steps = constantInts(context, 4, 'steps') ?? starts.map(() => 1)
  const before = zeros(rank)
  const after = zeros(rank)
  let gradient = context.outputGradient
  for (const [index, axis] of axes.entries()) {
    const [start = 0, end = 0, step = 1] = [starts[index], ends[index], steps[index]]
    if (start === 0 && step === 1 && end >= endOfAxis) continue
    const size = fixedSize(context, x, axis)
    const taken = takenRows(size, start, end, step)
    if (step === 1) {
      before[axis] = taken[0] ?? 0
      after[axis] = size - taken.length - (taken[0] ?? 0)
    } else {
      gradient = spreadRows(context, gradient, axis, size, taken)
    }
  }
  return [padBy(context, gradient, [...before, ...after])]
}

/** Exporters write the end of an axis as a number near the largest integer. */
const endOfAxis = 2 ** 31 - 1

/** Positions that a slice takes, in its order. */
const takenRows = (size: number, start: number, end: number, step: number): number[] => {
  const clamp = (value: number, low: number, high: number): number =>
    Math.min(high, Math.max(low, value < 0 ? value + size : value))
  const taken: number[] = []
  if (step > 0) for (let row = clamp(start, 0, size); row < clamp(end, 0, size); row += step) taken.push(row)
  else for (let row = clamp(start, 0, size - 1); row > clamp(end, -1, size - 1); row += step) taken.push(row)
  return taken
}

/** Rows back in their places: every row of the result is one of the gradient's or a row of zeros appended to it. */
const spreadRows = (
  { emitter, node, typeOf }: GradientContext,
  gradient: string,
  axis: number,
  size: number,
  taken: readonly number[],
): string => {
  const rank = typeOf(node.inputs[0] ?? '').shape.length
  const pads = zeros(2 * rank)
  pads[rank + axis] = 1
  const places = new Map(taken.map((row, place) => [row, place]))
  const rows = Array.from({ length: size }, (_, row) => places.get(row) ?? taken.length)
  const padded = emitter.call('Pad', gradient, emitter.int64s(pads))
  return emitter.emit('Gather', [padded, emitter.int64s(rows)], { axis })
}

const padBy = ({ emitter }: GradientContext, value: string, pads: readonly number[]): string =>
  pads.every(size => size === 0) ? value : emitter.call('Pad', value, emitter.int64s(pads))

/** Pad with a constant: the padding is cut off again, which negative pads do. */
export const padGradient: GradientRule = context => {
  const { node, typeOf } = context
  const mode = stringAttribute(node, 'mode', 'constant')
  if (mode !== 'constant') unsupportedForm(node, `mode ${mode}`, 'Pad with a constant.')
  const rank = typeOf(node.inputs[0] ?? '').shape.length
  const pads = constantInts(context, 1, 'pads') ?? []
  const axes = constantInts(context, 3, 'axes') ?? Array.from({ length: rank }, (_, axis) => axis)
  const cut = zeros(2 * rank)
  for (const [index, axis] of axes.map(each => (each < 0 ? each + rank : each)).entries()) {
    cut[axis] = 0 - (pads[index] ?? 0)
    cut[axis + rank] = 0 - (pads[index + axes.length] ?? 0)
  }
  return [padBy(context, context.outputGradient, cut)]
}

const zeros = (length: number): number[] => Array.from({ length }, () => 0)
