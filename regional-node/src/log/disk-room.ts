/** Whether the disk has room, as far as failed writes tell. */
export class DiskRoom {
  readonly #monotonic: () => number
  readonly #onFull: (error: unknown) => void
  #fullAt = Number.NEGATIVE_INFINITY
  #refusals = 0

  /** @param onFull called when the disk becomes full, not again while it is */
  constructor(monotonic: () => number, onFull: (error: unknown) => void) {
    this.#monotonic = monotonic
    this.#onFull = onFull
  }

  /** Whether something found no room within the last seconds. */
  get isFull(): boolean {
    return this.#monotonic() - this.#fullAt < rememberedMillis
  }

  /** Writes and updates that found no room. */
  get refusals(): number {
    return this.#refusals
  }

  noteFull(error: unknown): void {
    const wasFull = this.isFull
    this.#fullAt = this.#monotonic()
    this.#refusals += 1
    if (!wasFull) this.#onFull(error)
  }
}

/** Long enough for an operator's probe to see it, and for a device to come back. */
const rememberedMillis = 15_000
