/** A pause that a notice cuts short. A notice that comes while nobody pauses is kept for the next pause; many are one. */
export class Wakeup {
  #pending = false
  #resolve: (() => void) | undefined

  /** Ends the pause, or the next one. */
  wake(): void {
    this.#pending = true
    this.#resolve?.()
  }

  /** Resolves after `millis`, at a wake, or when the signal aborts, whichever is first. */
  async pause(millis: number, signal: AbortSignal): Promise<void> {
    if (!this.#pending && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const end = () => resolve()
      this.#resolve = end
      signal.addEventListener('abort', end, { once: true })
      const timer = setTimeout(end, millis)
      await promise
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      this.#resolve = undefined
    }
    this.#pending = false
  }
}
