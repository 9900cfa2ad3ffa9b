import type { Emitter } from '../emitter.ts'
import type { FloatDType } from '../losses/loss.ts'

/** A local optimiser and its settings, named and defaulted as in PyTorch. */
export type OptimizerOptions =
  | {
      readonly kind: 'sgd'
      /** λ, added to the gradient as λ·W. @default 0 */
      readonly weightDecay?: number
    }
  | {
      /** With `nesterov` the gradient is looked up ahead of the step. Sutskever et al. 2013 */
      readonly kind: 'momentum' | 'nesterov'
      /** @default 0.9 */
      readonly momentum?: number
      readonly weightDecay?: number
    }
  | {
      /** Kingma and Ba 2015; `adamw` takes the decay off the weights, not through the gradient (Loshchilov and Hutter 2019). */
      readonly kind: 'adam' | 'adamw'
      /** @default 0.9 */
      readonly beta1?: number
      /** @default 0.999 */
      readonly beta2?: number
      /** @default 1e-8 */
      readonly epsilon?: number
      /** @default 0 for adam, 0.01 for adamw */
      readonly weightDecay?: number
    }

export type OptimizerKind = OptimizerOptions['kind']

/** An optimiser, as its name or with settings. */
export type OptimizerChoice = OptimizerKind | OptimizerOptions

export const optimizerOptions = (choice: OptimizerChoice): OptimizerOptions =>
  typeof choice === 'string' ? { kind: choice } : choice

/** A tensor that an optimiser carries from step to step; zeros at the start. */
export type StateSlot = {
  /** Name of the value before the step, and the parameter it belongs to, if to one. */
  readonly name: string
  readonly parameter?: string
  readonly dtype: FloatDType
  readonly shape: readonly number[]
}

export type CarriedState = StateSlot & {
  /** Name of the value after the step. */
  readonly updated: string
}

/** A trained tensor and its gradient, which carries the optimiser's factor. */
export type Trained = {
  readonly name: string
  readonly dtype: FloatDType
  readonly shape: readonly number[]
  readonly gradient: string
  /** Terms of the gradient that are affine in the weights: decay·W + drift (drift is the same in every step). */
  readonly affine: AffineTerm
  /** Name that the new value gets. */
  readonly updated: string
}

export type AffineTerm = { readonly decay: number; readonly drift?: string }

export type OptimiserContext = {
  readonly emitter: Emitter
  readonly dtype: FloatDType
  /** Scalar η. */
  readonly learningRate: string
  /** Scalar factor that clips the gradients, where they are clipped. */
  readonly clip?: string
}

/**
 * An update rule. Gradients arrive multiplied by `gradientFactor`, which costs nothing since it is part of the small
 * loss seed: 'minus-learning-rate' makes every gradient the step itself.
 */
export type Optimiser = {
  readonly gradientFactor: number | 'minus-learning-rate'
  /** Emits the new value of every trained tensor under its `updated` name; returns what is carried. */
  readonly emitUpdates: (context: OptimiserContext, trained: readonly Trained[]) => readonly CarriedState[]
}
