import type { DeclaredSize, ValueDeclaration } from './graph.ts'
import type { DType } from './tensor.ts'

/** What a tensor that goes into or comes out of a compiled graph is. */
export type PortRole =
  /** A weight that trains. */
  | 'parameter'
  /** A running statistic. */
  | 'buffer'
  /** A weight or statistic that stays as it is. */
  | 'frozen'
  /** Of the optimiser; zeros before the first step. */
  | 'state'
  /** FedProx: the parameter's value at the start of the round. */
  | 'anchor'
  /** SCAFFOLD: c − cᵢ of the parameter. */
  | 'correction'
  | 'features'
  | 'labels'
  /** One weight for each example. */
  | 'sample-weights'
  /** Scalar η. */
  | 'learning-rate'
  /** Rows of each minibatch, int32 [steps, batch]. */
  | 'order'
  /** Mean loss of each step before its update. */
  | 'losses'
  /** Evaluation: see `CompiledEvaluation`. */
  | 'loss-of-example'
  | 'hits'
  | 'counted'
  | 'absolute-error'
  | 'scores'

/** An input or output of a compiled graph; a text in its shape is a size that is free (equal texts, equal sizes). */
export type Port = {
  readonly name: string
  readonly role: PortRole
  readonly dtype: DType
  readonly shape: readonly DeclaredSize[]
  /** Name of the parameter that it is or belongs to. */
  readonly parameter?: string
}

export const port = (role: PortRole, { name, dtype, shape }: ValueDeclaration, parameter?: string): Port => ({
  name,
  role,
  dtype,
  shape,
  ...(parameter === undefined ? {} : { parameter }),
})

/** The declaration alone, for a graph. */
export const declarationOf = ({ name, dtype, shape }: Port): ValueDeclaration => ({ name, dtype, shape })
