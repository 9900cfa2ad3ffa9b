import type { DataErrorCode } from '../data-error.ts'
import type { DatasetDeclaration } from '../declarations/dataset-declaration.ts'
import type { Targets } from './convert.ts'

/** What the process that converts is told, once. */
export type ConvertRequest = {
  readonly declaration: DatasetDeclaration
  readonly dataDir: string
  readonly targets: Targets
  readonly maxBytes: number
}

export type ConvertReply =
  | { readonly kind: 'progress' }
  | { readonly kind: 'done' }
  /** Without a code it is no fault of the data. */
  | {
      readonly kind: 'failed'
      readonly code: DataErrorCode | undefined
      readonly message: string
      /** Of DataError. */
      readonly at?: string | undefined
    }
