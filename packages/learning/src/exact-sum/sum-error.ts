/** Why a sum cannot be taken; the codes are those of the error catalogue where a person may meet them. */
export type SumErrorCode =
  /** Bounds, weights or counts for which an exact sum would not fit into 64 bits. */
  | 'SUM_WOULD_OVERFLOW'
  | 'ZERO_TOTAL_WEIGHT'
  /** A shard sum whose header or counts are not those of the attempt. */
  | 'SHARD_SUM_MALFORMED'
  /** The new value is beyond its dtype. */
  | 'RESULT_NOT_FINITE'

export class SumError extends Error {
  override readonly name = 'SumError'
  readonly code: SumErrorCode
  readonly tensor: string | null

  constructor(code: SumErrorCode, message: string, tensor: string | null = null) {
    super(message)
    this.code = code
    this.tensor = tensor
  }
}
