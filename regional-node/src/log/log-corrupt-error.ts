/** Records that had been durable are damaged, or their key is gone: what the log promised cannot be kept. */
export class LogCorruptError extends Error {
  override readonly name = 'LogCorruptError'
}

/** The log has no sound record: what it was opened for was never acknowledged. */
export class LogEmptyError extends Error {
  override readonly name = 'LogEmptyError'
}
