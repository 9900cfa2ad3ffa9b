import type { Emitter } from '../emitter.ts'
import type { Size } from '../values.ts'

/** A loss and its settings; every loss is the (weighted) mean over the batch, as PyTorch's `reduction="mean"`. */
export type LossOptions =
  | {
      /** Softmax cross-entropy over scores, with integer labels. A final Softmax or LogSoftmax is folded into it. */
      readonly kind: 'softmax-cross-entropy'
      /** The target is (1 − ε)·one-hot + ε/classes. @default 0 */
      readonly labelSmoothing?: number
      /** Positions with this label do not count. @default none */
      readonly ignoreIndex?: number
      /** Axis of the classes. @default the last */
      readonly classAxis?: number
    }
  | {
      /** For models that give log-probabilities; a final LogSoftmax is folded into it. */
      readonly kind: 'negative-log-likelihood'
      readonly ignoreIndex?: number
      readonly classAxis?: number
    }
  /** Binary cross-entropy of logits with labels 0 … 1. A final Sigmoid is folded into it. */
  | { readonly kind: 'sigmoid-binary-cross-entropy' }
  | { readonly kind: 'mean-squared-error' }
  | { readonly kind: 'mean-absolute-error' }
  | {
      /** ½d² up to |d| = δ, δ(|d| − ½δ) beyond. Huber 1964 */
      readonly kind: 'huber'
      /** @default 1 */
      readonly delta?: number
    }

export type LossKind = LossOptions['kind']

/** A loss, as its name or with settings. */
export type LossChoice = LossKind | LossOptions

export const lossOptions = (choice: LossChoice): LossOptions => (typeof choice === 'string' ? { kind: choice } : choice)

export type FloatDType = 'float32' | 'float64'

/** What the labels of a compiled graph are. `shape` is of one example. */
export type LabelType = {
  readonly kind: 'class-index' | 'binary' | 'real'
  readonly dtype: 'int32' | FloatDType
  readonly shape: readonly number[]
  /** Labels are 0 … classes − 1 (class-index only). */
  readonly classes?: number
}

/** The end of a forward graph as a loss sees it. */
export type LossContext = {
  readonly emitter: Emitter
  /** The output that the loss is computed from, its dtype and its shape, batch first. */
  readonly output: string
  readonly dtype: FloatDType
  readonly shape: readonly Size[]
  /** Labels [batch, …LabelType.shape]. */
  readonly labels: string
  /** The activation that was taken off the end of the graph. */
  readonly folded: FoldedActivation | undefined
}

export type FoldedActivation = {
  readonly op: string
  readonly axis: number
  /** Before opset 13 Softmax ran over its axis and all that follow. */
  readonly flattens: boolean
}

/** The parts of a loss from which training and evaluation make their own. Emitted nodes that nobody reads are dropped. */
export type LossTerms = {
  readonly label: LabelType
  /** Loss of every element of the output, or minus it; sums over all axes but the batch are an example's loss. */
  readonly elements: string
  readonly sign: 1 | -1
  /** d(loss)/d(output) of every element without weights, times `gradientFactor`. */
  readonly gradient: string
  readonly gradientFactor: number
  /** 1 where a position counts and 0 where not, broadcastable to the output. Absent: all count. */
  readonly mask?: string
  /** Loss terms in one example: tokens, pixels, outputs. */
  readonly positions: number
}
