import type { Emitter } from '../emitter.ts'

/** What normalisation along some axes subtracts and multiplies by; sizes along the axes are 1. */
export type Moments = {
  /** x − mean(x), of the shape of x. */
  readonly centred: string
  readonly mean: string
  /** Of the population: divided by n. */
  readonly variance: string
  /** 1/√(variance + ε) */
  readonly inverse: string
}

/** Emits the moments of `x`. Equal calls emit equal nodes, which become one. */
export const emitMoments = (
  emitter: Emitter,
  x: string,
  axes: readonly number[],
  epsilon: number,
  dtype: 'float32' | 'float64',
): Moments => {
  const over = (value: string): string => emitMean(emitter, value, axes)
  const mean = over(x)
  const centred = emitter.call('Sub', x, mean)
  const variance = over(emitter.call('Mul', centred, centred))
  return { centred, mean, variance, inverse: emitInverse(emitter, variance, epsilon, dtype) }
}

export const emitMean = (emitter: Emitter, value: string, axes: readonly number[]): string =>
  emitter.emit('ReduceMean', [value, emitter.int64s(axes)], { keepdims: 1 })

/** 1/√(variance + ε) */
export const emitInverse = (
  emitter: Emitter,
  variance: string,
  epsilon: number,
  dtype: 'float32' | 'float64',
): string =>
  emitter.call('Reciprocal', emitter.call('Sqrt', emitter.call('Add', variance, emitter.scalar(dtype, epsilon))))

/**
 * The gradient through x̂ = (x − mean)·inverse, both of which depend on x: inverse·(g − mean(g) − x̂·mean(g·x̂)), where g is
 * the gradient of x̂.
 */
export const emitStandardisedGradient = (
  emitter: Emitter,
  g: string,
  standardised: string,
  inverse: string,
  axes: readonly number[],
): string => {
  const level = emitMean(emitter, g, axes)
  const slope = emitMean(emitter, emitter.call('Mul', g, standardised), axes)
  const rest = emitter.call('Sub', emitter.call('Sub', g, level), emitter.call('Mul', standardised, slope))
  return emitter.call('Mul', rest, inverse)
}

/** A vector over the channels of [N, C, …], in a shape that is broadcast over the rest. */
export const perChannel = (emitter: Emitter, vector: string, rank: number): string =>
  rank <= 2
    ? vector
    : emitter.emit('Unsqueeze', [vector, emitter.int64s(Array.from({ length: rank - 2 }, (_, axis) => axis + 1))])

/** Σ over everything but the channels. */
export const sumPerChannel = (emitter: Emitter, value: string, rank: number): string =>
  emitter.emit('ReduceSum', [value, emitter.int64s(allButChannels(rank))], { keepdims: 0 })

export const allButChannels = (rank: number): number[] => [
  0,
  ...Array.from({ length: Math.max(0, rank - 2) }, (_, axis) => axis + 2),
]
