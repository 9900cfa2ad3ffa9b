/** What is wrong with a safetensors file. */
export type SafetensorsErrorCode =
  | 'TRUNCATED'
  | 'TRAILING_BYTES'
  | 'HEADER_TOO_LARGE'
  | 'NOT_UTF8'
  | 'NOT_JSON'
  | 'MALFORMED_ENTRY'
  | 'DUPLICATE_NAME'
  | 'INVALID_NAME'
  | 'TOO_MANY_TENSORS'
  | 'UNKNOWN_DTYPE'
  | 'INVALID_SHAPE'
  | 'INVALID_OFFSETS'
  | 'OVERLAP'
  | 'GAP'
  | 'SIZE_MISMATCH'

export class SafetensorsError extends Error {
  override readonly name = 'SafetensorsError'
  readonly code: SafetensorsErrorCode
  /** The tensor concerned, where there is one. */
  readonly tensor: string | null

  constructor(code: SafetensorsErrorCode, message: string, tensor: string | null = null) {
    super(message)
    this.code = code
    this.tensor = tensor
  }
}

/** A name from outside as it may stand in a message: quoted, cut. */
export function quoteName(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 77)}...` : name)
}
