import type { Emitter } from '../emitter.ts'
import { at, positions, type Window } from './window.ts'

/** A convolution of `x` [N, C, …] whose result has the gradient `dY` [N, M, …]; its weight is [M, C/groups, …kernel]. */
export type Convolution = {
  readonly x: string
  readonly dY: string
  readonly window: Window
  readonly groups: number
  /** C */
  readonly channels: number
  /** M */
  readonly filters: number
}

/** The gradient of a convolution's weight, in the form that suits its kernel. */
export const convWeightGradient = (emitter: Emitter, convolution: Convolution): string => {
  const { window, groups, channels, filters } = convolution
  const isPointwise = window.kernel.every(size => size === 1) && [...window.padBegin, ...window.padEnd].every(isZero)
  if (isPointwise && groups === 1) return pointwise(emitter, convolution)
  if (groups === channels && groups === filters && groups > 1) return depthwise(emitter, convolution)
  return correlation(emitter, convolution)
}

const isZero = (value: number): boolean => value === 0

/** Kernel 1: one product of matrices over all pixels of the batch. */
const pointwise = (emitter: Emitter, { x, dY, window, channels, filters }: Convolution): string => {
  const seen = stridedSlice(
    emitter,
    x,
    window,
    window.kernel.map(() => 0),
  )
  const perm = [1, 0, ...window.kernel.map((_, axis) => axis + 2)]
  const pixels = (value: string, rows: number): string =>
    emitter.call('Reshape', emitter.emit('Transpose', [value], { perm }), emitter.int64s([rows, -1]))
  const product = emitter.emit('Gemm', [pixels(dY, filters), pixels(seen, channels)], { transB: 1 })
  return emitter.call('Reshape', product, emitter.int64s([filters, channels, ...window.kernel]))
}

/** One filter a channel: for every position of the kernel the pixels it saw, times dY, summed. */
const depthwise = (emitter: Emitter, { x, dY, window, channels }: Convolution): string => {
  const { kernel, padBegin, padEnd } = window
  const pads = [0, 0, ...padBegin, 0, 0, ...padEnd]
  const padded = pads.every(isZero) ? x : emitter.call('Pad', x, emitter.int64s(pads))
  const axes = emitter.int64s([0, ...kernel.map((_, axis) => axis + 2)])
  const sums = positions(kernel).map(position => {
    const seen = stridedSlice(emitter, padded, window, position)
    return emitter.emit('ReduceSum', [emitter.call('Mul', seen, dY), axes], { keepdims: 0 })
  })
  const joined = sums.length === 1 ? (sums[0] ?? '') : emitter.emit('Concat', sums, { axis: 0 })
  const byPosition = emitter.call('Reshape', joined, emitter.int64s([sums.length, channels]))
  const byChannel = emitter.emit('Transpose', [byPosition], { perm: [1, 0] })
  return emitter.call('Reshape', byChannel, emitter.int64s([channels, 1, ...kernel]))
}

/** The pixels that the kernel's element at `position` saw, one for each output pixel. */
const stridedSlice = (emitter: Emitter, padded: string, window: Window, position: readonly number[]): string => {
  const { strides, dilations, inputSizes, outputSizes, padBegin, padEnd } = window
  const starts = position.map((offset, axis) => offset * at(dilations, axis))
  const ends = starts.map((start, axis) => start + (at(outputSizes, axis) - 1) * at(strides, axis) + 1)
  const isWhole = starts.every(
    (start, axis) =>
      start === 0 &&
      at(strides, axis) === 1 &&
      ends[axis] === at(inputSizes, axis) + at(padBegin, axis) + at(padEnd, axis),
  )
  if (isWhole) return padded
  const axes = position.map((_, axis) => axis + 2)
  return emitter.call('Slice', padded, ...[starts, ends, axes, [...strides]].map(list => emitter.int64s(list)))
}

/**
 * dW is a convolution of x with dY in which examples and channels change places and so do strides and dilations: every
 * kernel position correlates the whole input with the whole gradient. With groups, x is rearranged to
 * [C/g, g·N, …], so that one grouped convolution pairs each group's channels with its filters.
 * Rows beyond the kernel (unread input) are cut.
 */
const correlation = (emitter: Emitter, { x, dY, window, groups, channels }: Convolution): string => {
  const { kernel, strides, dilations, padBegin, padEnd, inputSizes, outputSizes } = window
  const swap = [1, 0, ...kernel.map((_, axis) => axis + 2)]
  const pads = [...padBegin, ...padEnd]
  const correlated = emitter.emit(
    'Conv',
    [
      groups === 1
        ? emitter.emit('Transpose', [x], { perm: swap })
        : groupsOfExamples(emitter, x, inputSizes, groups, channels),
      emitter.emit('Transpose', [dY], { perm: swap }),
    ],
    { strides: dilations, dilations: strides, pads, group: groups },
  )
  const sizes = kernel.map((_, axis) => {
    const span = at(strides, axis) * (at(outputSizes, axis) - 1) + 1
    const padded = at(inputSizes, axis) + at(padBegin, axis) + at(padEnd, axis)
    return Math.floor((padded - span) / at(dilations, axis)) + 1
  })
  const long = kernel.flatMap((size, axis) => (at(sizes, axis) > size ? [axis] : []))
  const cut =
    long.length === 0
      ? correlated
      : emitter.emit('Slice', [
          correlated,
          emitter.int64s(long.map(() => 0)),
          emitter.int64s(long.map(axis => at(kernel, axis))),
          emitter.int64s(long.map(axis => axis + 2)),
        ])
  return emitter.emit('Transpose', [cut], { perm: swap })
}

/** [N, g·c, …] → [c, g·N, …] */
const groupsOfExamples = (
  emitter: Emitter,
  x: string,
  sizes: readonly number[],
  groups: number,
  channels: number,
): string => {
  const parted = emitter.call('Reshape', x, emitter.int64s([-1, groups, channels / groups, ...sizes]))
  const perm = [2, 1, 0, ...sizes.map((_, axis) => axis + 3)]
  const swapped = emitter.emit('Transpose', [parted], { perm })
  return emitter.call('Reshape', swapped, emitter.int64s([channels / groups, -1, ...sizes]))
}
