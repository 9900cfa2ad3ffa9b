/** Why a request is not answered with tensors, and the HTTP status that says so. */
const statuses = {
  /** The request is not one of the protocol. */
  MALFORMED: 400,
  UNAUTHORISED: 401,
  HOST_REFUSED: 403,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  LENGTH_REQUIRED: 411,
  TOO_BIG: 413,
  /** The request is one, but not for this model. */
  DATATYPE_UNSUPPORTED: 422,
  DATATYPE_MISMATCH: 422,
  SHAPE_MISMATCH: 422,
  INPUT_UNKNOWN: 422,
  INPUT_MISSING: 422,
  OUTPUT_UNKNOWN: 422,
  /** The runtime refused these inputs, an index out of its table, say; it runs others. */
  INPUTS_REFUSED: 422,
  /** The outputs hold numbers that JSON has no form for. */
  NOT_FINITE: 500,
  /** The runtime failed, at whatever it is asked. */
  RUN_FAILED: 500,
  /** Try again after `retryAfterSeconds`. */
  BUSY: 503,
  RUNTIME_DOWN: 503,
  STOPPING: 503,
  DEADLINE: 504,
} as const

export type InferenceErrorCode = keyof typeof statuses

/** A request that is refused or failed. The message says what is wrong and what to do; nothing in it comes from other requests. */
export class InferenceError extends Error {
  override readonly name = 'InferenceError'
  readonly code: InferenceErrorCode
  readonly retryAfterSeconds: number | undefined

  constructor(
    code: InferenceErrorCode,
    message: string,
    options: ErrorOptions & { readonly retryAfterSeconds?: number } = {},
  ) {
    super(message, options)
    this.code = code
    this.retryAfterSeconds = options.retryAfterSeconds ?? (statuses[code] === 503 ? 1 : undefined)
  }

  get status(): number {
    return statuses[this.code]
  }
}

/** A text from outside, for a message. */
export const quote = (text: string): string => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
