import type { ModelFailureCode } from './protocol.ts'

/** Why the process of a version did not do what it was asked. */
export class ModelFailure extends Error {
  override readonly name = 'ModelFailure'
  readonly code: ModelFailureCode

  constructor(code: ModelFailureCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
