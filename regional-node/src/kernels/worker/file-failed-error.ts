/** A file could not be read or written as it should be. */
export class FileFailedError extends Error {
  override readonly name = 'FileFailedError'
}
