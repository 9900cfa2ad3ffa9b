/** Unwinds a job whose caller no longer wants it. */
export class CancelledError extends Error {
  override readonly name = 'CancelledError'

  constructor() {
    super('The job was cancelled.')
  }
}
