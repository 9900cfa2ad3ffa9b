import { castTarget } from '../onnx-types.ts'
import type { CarriedState, Optimiser, OptimiserContext, Trained } from './optimiser.ts'
import { emitWholeGradient } from './whole-gradient.ts'

export type AdamOptions = {
  readonly beta1: number
  readonly beta2: number
  readonly epsilon: number
  /** λ that is taken off the weights as W·(1 − ηλ); 0 for plain Adam. */
  readonly decoupledDecay: number
}

/**
 * Adam with the gradient g̃ = √(1−β₂)·g from the seed, which saves two passes over every tensor:
 * m ← β₁m + g̃ and v ← β₂v + g̃², so v is Adam's own and m is Adam's m·√(1−β₂)/(1−β₁). Then
 * W ← W − a·m/(√v + e), with a = η·√(1−β₂ᵗ)/(1−β₁ᵗ)·(1−β₁)/√(1−β₂) and e = ε·√(1−β₂ᵗ).
 * The step count t and the scalars are doubles: 1 − βᵗ in float32 loses an order of magnitude within 100 steps.
 * Kingma and Ba 2015, Algorithm 1; ε as in torch.optim.Adam
 */
export const adam = (options: AdamOptions): Optimiser => {
  const factor = Math.sqrt(1 - options.beta2)
  return {
    gradientFactor: factor,
    emitUpdates(context, trained) {
      const { emitter } = context
      const count = emitter.fresh('adam.steps')
      const counted = emitter.emit('Add', [count, emitter.scalar('float64', 1)], {}, 'adam.steps.updated')
      const scalars = emitScalars(context, options, counted)
      const moments = trained.flatMap(tensor => emitTensor(context, options, scalars, tensor, factor))
      return [{ name: count, dtype: 'float64', shape: [], updated: counted }, ...moments]
    },
  }
}

type Scalars = { readonly rate: string; readonly epsilon: string; readonly keep?: string }

const emitScalars = (context: OptimiserContext, options: AdamOptions, steps: string): Scalars => {
  const { emitter, dtype, learningRate } = context
  const { beta1, beta2, epsilon, decoupledDecay } = options
  const double = (value: number): string => emitter.scalar('float64', value)
  const cast = (value: string): string => emitter.emit('Cast', [value], { to: castTarget[dtype] })
  const lacking = (beta: number): string => emitter.emit('Sub', [double(1), emitter.emit('Pow', [double(beta), steps])])
  const rootOfSecond = emitter.emit('Sqrt', [lacking(beta2)])
  const eta = emitter.emit('Cast', [learningRate], { to: castTarget.float64 })
  const constant = double((1 - beta1) / Math.sqrt(1 - beta2))
  const corrected = emitter.emit('Div', [emitter.emit('Mul', [eta, rootOfSecond]), lacking(beta1)])
  const scalars = {
    rate: cast(emitter.emit('Mul', [corrected, constant])),
    epsilon: cast(emitter.emit('Mul', [double(epsilon), rootOfSecond])),
  }
  if (decoupledDecay === 0) return scalars
  const decay = emitter.emit('Mul', [eta, double(decoupledDecay)])
  return { ...scalars, keep: cast(emitter.emit('Sub', [double(1), decay])) }
}

const emitTensor = (
  context: OptimiserContext,
  { beta1, beta2 }: AdamOptions,
  { rate, epsilon, keep }: Scalars,
  tensor: Trained,
  factor: number,
): CarriedState[] => {
  const { emitter, dtype } = context
  const { name, shape, updated } = tensor
  const gradient = emitWholeGradient(context, tensor, factor)
  const [first, second] = [emitter.fresh(`${name}.first_moment`), emitter.fresh(`${name}.second_moment`)]
  const decayed = (moment: string, beta: number): string => emitter.emit('Mul', [moment, emitter.scalar(dtype, beta)])
  const m = emitter.emit('Add', [decayed(first, beta1), gradient], {}, `${first}.updated`)
  const square = emitter.emit('Mul', [gradient, gradient])
  const v = emitter.emit('Add', [decayed(second, beta2), square], {}, `${second}.updated`)
  const root = emitter.emit('Add', [emitter.emit('Sqrt', [v]), epsilon])
  const step = emitter.emit('Mul', [emitter.emit('Div', [m, root]), rate])
  const kept = keep === undefined ? name : emitter.emit('Mul', [name, keep])
  emitter.define([updated], 'Sub', [kept, step])
  return [
    { name: first, parameter: name, dtype, shape, updated: m },
    { name: second, parameter: name, dtype, shape, updated: v },
  ]
}
