type Slot = { readonly controller: AbortController; readonly done: Promise<void> }

/** A device uploads one body at a time: a new call ends the one before, which may hang on a connection that is dead. */
export class UploadSlots {
  readonly #slots = new Map<string, Slot>()
  #draining = false

  get running(): number {
    return this.#slots.size
  }

  /** From now on nobody is let in. */
  drain(): void {
    this.#draining = true
  }

  /** Runs `upload` as the device's only one; null when the node drains. */
  async run<Result>(device: string, upload: (signal: AbortSignal) => Promise<Result>): Promise<Result | null> {
    for (let before = this.#slots.get(device); before !== undefined; before = this.#slots.get(device)) {
      before.controller.abort(new Error('a newer upload of the same device took its place'))
      await before.done
    }
    if (this.#draining) return null
    const controller = new AbortController()
    const { promise: done, resolve } = Promise.withResolvers<void>()
    this.#slots.set(device, { controller, done })
    try {
      return await upload(controller.signal)
    } finally {
      this.#slots.delete(device)
      resolve()
    }
  }

  /** Waits until no upload runs; those that still run after `deadline` aborts are cut, what is durable of them stays. */
  async idle(deadline: AbortSignal): Promise<void> {
    const cut = () => {
      for (const { controller } of this.#slots.values()) controller.abort(deadline.reason)
    }
    if (deadline.aborted) cut()
    else deadline.addEventListener('abort', cut, { once: true })
    await Promise.all([...this.#slots.values()].map(({ done }) => done))
    deadline.removeEventListener('abort', cut)
  }
}
