/** An event that no retry will make usable: it is parked with this reason. */
export class UnusableEventError extends Error {
  override readonly name = 'UnusableEventError'
}
