export type DataErrorCode =
  | 'DATASETS_MISSING'
  | 'DATASETS_INVALID'
  | 'DATASET_UNKNOWN'
  | 'FILE_OUTSIDE'
  | 'FILE_UNREADABLE'
  | 'FILE_CHANGED'
  | 'IDX_MALFORMED'
  | 'IDX_SIZE_MISMATCH'
  | 'NPY_MALFORMED'
  | 'NPY_SIZE_MISMATCH'
  | 'NPZ_MALFORMED'
  | 'CSV_MALFORMED'
  | 'JSONL_MALFORMED'
  | 'PARQUET_MALFORMED'
  | 'IMAGE_BROKEN'
  | 'TEXT_MALFORMED'
  | 'VOCABULARY_UNUSABLE'
  | 'ROWS_UNUSABLE'
  | 'ROWS_DAMAGED'
  | 'CONVERSION_ENDED'
  | 'LABELS_UNUSABLE'
  | 'COUNTS_DIFFER'
  | 'TOO_LARGE'
  | 'FEATURES_UNUSABLE'
  | 'HELD_OUT'
  | 'NOT_FEDERATED'
  | 'STATISTICS_MISSING'
  | 'STATISTICS_MISMATCH'
  | 'BEYOND_SCALE'

/** Something about the owner's data does not fit. The message names file and place, and what to do. */
export class DataError extends Error {
  override readonly name = 'DataError'
  readonly code: DataErrorCode
  /** Line or row, and column, by number alone: what the federation may be told of the place. Undefined where it is no such place. */
  readonly at: string | undefined

  constructor(code: DataErrorCode, message: string, options: { cause?: unknown; at?: string | undefined } = {}) {
    super(message, options)
    this.code = code
    this.at = options.at
  }
}
