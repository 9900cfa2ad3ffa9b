import type { Emitter } from '../emitter.ts'
import type { FloatDType, LossTerms } from './loss.ts'

/** A loss made ready for a train step. */
export type TrainingLoss = {
  /** Scalar of one step, from which `emitMean` makes the mean loss. */
  readonly perStep: string
  /** What the seed and the mean are divided by: a scalar. */
  readonly normaliser: string
  /** Mean losses from the scalar of one step or from the vector of many. */
  readonly emitMean: (perStep: string, output: string) => void
  /** d(loss)/d(output) times a scalar that holds 1/normaliser and whatever the optimiser folds in. */
  readonly emitSeed: (scale: string) => string
}

/** Keeps a batch in which nothing counts from dividing zero by zero: its loss and its step are 0. */
const leastWeight = 2 ** -100

/**
 * Σ w·loss / Σ w over the positions that count. Without sample weights and ignored labels Σ w is a constant of the
 * batch size, and everything that depends on it alone leaves the loop.
 */
export const emitTrainingLoss = (
  emitter: Emitter,
  terms: LossTerms,
  batch: {
    readonly dtype: FloatDType
    /** Axes of the output. */
    readonly rank: number
    /** Scalar B, as a float. */
    readonly size: string
    /** Weight of each example, [B]. */
    readonly sampleWeights?: string | undefined
  },
): TrainingLoss => {
  const { elements, gradient, gradientFactor, sign, positions } = terms
  const scalar = (value: number): string => emitter.scalar(batch.dtype, value)
  const sum = (values: string): string => emitter.emit('ReduceSum', [values], { keepdims: 0 })
  const times = (value: string, factor: number): string =>
    factor === 1 ? value : emitter.emit('Mul', [value, scalar(factor)])
  const negateIf = (value: string, output: string): void =>
    emitter.define([output], sign === 1 ? 'Identity' : 'Neg', [value])
  const scaled = (scale: string): string => times(scale, gradientFactor)

  const weights = emitWeights(emitter, terms.mask, batch)
  if (weights === undefined) {
    const normaliser = times(batch.size, positions)
    return {
      perStep: sum(elements),
      normaliser,
      emitMean: (perStep, output) => negateIf(emitter.emit('Div', [perStep, normaliser]), output),
      emitSeed: scale => emitter.emit('Mul', [gradient, scaled(scale)]),
    }
  }
  const total = terms.mask === undefined ? times(sum(weights), positions) : sum(weights)
  const normaliser = emitter.emit('Max', [total, scalar(leastWeight)])
  return {
    perStep: emitter.emit('Div', [sum(emitter.emit('Mul', [elements, weights])), normaliser]),
    normaliser,
    emitMean: negateIf,
    emitSeed: scale => emitter.emit('Mul', [gradient, emitter.emit('Mul', [weights, scaled(scale)])]),
  }
}

/** The weight of every position, broadcastable to the output; undefined where all weigh 1. */
const emitWeights = (
  emitter: Emitter,
  mask: string | undefined,
  { rank, sampleWeights }: { readonly rank: number; readonly sampleWeights?: string | undefined },
): string | undefined => {
  if (sampleWeights === undefined) return mask
  const axes = Array.from({ length: rank - 1 }, (_, axis) => axis + 1)
  const column = axes.length === 0 ? sampleWeights : emitter.emit('Unsqueeze', [sampleWeights, emitter.int64s(axes)])
  return mask === undefined ? column : emitter.emit('Mul', [mask, column])
}
