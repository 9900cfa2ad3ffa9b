/** Why an update is refused, by the codes of the verdict INVALID. */
export type InvalidUpdateCode =
  | 'BODY_MALFORMED'
  | 'TENSOR_MISSING'
  | 'TENSOR_UNEXPECTED'
  | 'TENSOR_MISMATCH'
  | 'NOT_FINITE'
  | 'OUT_OF_RANGE'
  | 'NORM_EXCEEDED'
  | 'EXAMPLES_INVALID'

export class InvalidUpdateError extends Error {
  override readonly name = 'InvalidUpdateError'
  readonly code: InvalidUpdateCode
  /** The tensor of the manifest (or of the body, when the manifest has none) that is wrong. */
  readonly tensor: string | null

  constructor(code: InvalidUpdateCode, message: string, tensor: string | null = null, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.tensor = tensor
  }
}
