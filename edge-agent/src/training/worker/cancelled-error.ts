/** Unwinds a job whose caller no longer wants it. */
export class CancelledError extends Error {
  override readonly name = 'CancelledError'
}

/** Throws CancelledError once the flag is raised. */
export const throwIfCancelled = (cancel: SharedArrayBuffer): void => {
  if (Atomics.load(new Int32Array(cancel), 0) !== 0) throw new CancelledError('The job was cancelled.')
}
