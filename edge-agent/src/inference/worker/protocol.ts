import type { InferenceTensor, TensorPort } from '../tensor.ts'

/** A file of a deployed version, and what it must be. */
export type ModelFile = { readonly path: string; readonly sha256: string }

export type ModelFiles = { readonly graph: ModelFile; readonly weights: ModelFile }

/** Messages to the process of a version. Each is answered once, in any order of their kinds but one after the other. */
export type ModelRequest =
  | {
      readonly kind: 'open'
      readonly id: number
      readonly files: ModelFiles
      readonly threads: number
      /** Most rows that are ever joined; 1 where nothing is to be joined. */
      readonly mostRows: number
    }
  | {
      readonly kind: 'run'
      readonly id: number
      /** Inputs of requests that are joined along the first dimension; each has all inputs of the model. */
      readonly parts: readonly (readonly InferenceTensor[])[]
      readonly outputs: readonly string[]
      /** One row alone is run twice in one batch, where the model asks for that. */
      readonly pad: boolean
    }

/** What the runtime says of a model. */
export type ModelDescription = {
  readonly inputs: readonly TensorPort[]
  readonly outputs: readonly TensorPort[]
  /**
   * The least rows in a run from which on every row has the same bytes whatever it is joined with, as a trial found: 1, or 2 where a
   * row alone is computed otherwise. Undefined where requests are not joined: the batch is fixed, or rows depend on each other.
   */
  readonly joinsFrom: 1 | 2 | undefined
}

export type ModelFailureCode =
  /** A file is not what it was when it was deployed. */
  | 'FILES_DAMAGED'
  /** The runtime does not load the graph with its weights, or it has types that are not served. */
  | 'MODEL_UNSUPPORTED'
  /** The runtime refused to run. */
  | 'RUN_FAILED'
  /** The same model runs its sample: the fault is with the inputs. */
  | 'INPUTS_REFUSED'

/** Messages from the process. */
export type ModelReport =
  | {
      readonly kind: 'opened'
      readonly id: number
      readonly description: ModelDescription
      /** Whether a sample gave finite numbers; otherwise why no sample could be made. */
      readonly sample: { readonly finite: boolean } | { readonly refusal: string }
    }
  | {
      readonly kind: 'ran'
      readonly id: number
      /** Of all parts together. */
      readonly outputs: readonly InferenceTensor[]
      readonly finite: boolean
      /** What the runtime took. */
      readonly seconds: number
    }
  | { readonly kind: 'failed'; readonly id: number; readonly code: ModelFailureCode; readonly message: string }
