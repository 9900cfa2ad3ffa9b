/** Some rows, in the order asked for. */
export type Rows = {
  /** Row-major [rows, featuresPerRow]. */
  readonly features: Float32Array
  /** Row-major [rows, labelsPerRow]; Int32Array where every label of the data set is an integer. */
  readonly labels: Int32Array | Float32Array
}

/**
 * Examples that are read by row number, whatever their number: memory is what the caller asks for at once, and what the
 * source was allowed to keep. Every array that it gives belongs to the caller.
 */
export type RowSource = AsyncDisposable & {
  readonly examples: number
  readonly featuresPerRow: number
  readonly labelsPerRow: number
  /** Whether every label is an integer. */
  readonly integerLabels: boolean
  /** Bytes of one row where it is stored. */
  readonly rowBytes: number
  /**
   * Rows `order[from]` … `order[to − 1]`. Throws RangeError for a row that there is not, DataError when they cannot be
   * read.
   */
  readRows(order: Int32Array, from: number, to: number): Promise<Rows>
}
