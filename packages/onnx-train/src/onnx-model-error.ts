/** What can be wrong with a model; each code is stable and may be shown to whoever brought the model. */
export type OnnxModelErrorCode =
  | 'TOO_BIG'
  | 'MALFORMED'
  | 'IR_VERSION_UNSUPPORTED'
  | 'OPSET_UNSUPPORTED'
  | 'DOMAIN_UNSUPPORTED'
  | 'EXTERNAL_DATA'
  | 'FUNCTIONS_UNSUPPORTED'
  | 'SPARSE_UNSUPPORTED'
  | 'CONTROL_FLOW_UNSUPPORTED'
  | 'TOO_MANY_NODES'
  | 'DUPLICATE_NAME'
  | 'NOT_SORTED'
  | 'DTYPE_UNSUPPORTED'
  | 'TENSOR_SIZE_MISMATCH'
  | 'NO_PARAMETERS'
  | 'WEIGHTS_MISMATCH'
  | 'INPUTS_UNSUPPORTED'
  | 'OUTPUTS_UNSUPPORTED'
  | 'FIXED_BATCH'
  | 'OPERATOR_UNSUPPORTED'
  | 'OPERATOR_FORM_UNSUPPORTED'
  | 'SHAPES_UNKNOWN'
  | 'OPTIONS_INVALID'

export type OnnxModelErrorDetail = {
  /** The node it is about, by its name or, where it has none, by its first output. */
  readonly nodeName?: string
  readonly cause?: unknown
}

/** A model that cannot be read or trained. The message says what is wrong, where, and what to do. */
export class OnnxModelError extends Error {
  override readonly name = 'OnnxModelError'
  readonly code: OnnxModelErrorCode
  readonly nodeName: string | undefined

  constructor(code: OnnxModelErrorCode, problem: string, remedy: string, detail: OnnxModelErrorDetail = {}) {
    const where = detail.nodeName === undefined ? '' : ` (node "${shorten(detail.nodeName)}")`
    super(`${problem}${where}. ${remedy}`, detail.cause === undefined ? {} : { cause: detail.cause })
    this.code = code
    this.nodeName = detail.nodeName
  }
}

/** Names in a file can be megabytes long; a message shows their beginning. */
export const shorten = (text: string): string => (text.length <= 80 ? text : `${text.slice(0, 77)}...`)
