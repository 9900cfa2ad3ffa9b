/** A choice of tensors that cannot be kept local; the message names the pattern. */
export class KeepLocalError extends Error {
  override readonly name = 'KeepLocalError'
  /** Null where no single one is to blame. */
  readonly pattern: string | null

  constructor(pattern: string | null, message: string) {
    super(message)
    this.pattern = pattern
  }
}
