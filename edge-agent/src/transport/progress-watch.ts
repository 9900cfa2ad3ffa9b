/**
 * Ends something that makes no progress. Total time is not watched: a slow link is fine as long as bytes move.
 * `onStall` is called once, `stallMillis` after the last `progressed()`; dispose it when done.
 */
export class ProgressWatch implements Disposable {
  readonly #timer: NodeJS.Timeout

  constructor(stallMillis: number, onStall: () => void) {
    this.#timer = setTimeout(onStall, stallMillis)
  }

  progressed(): void {
    this.#timer.refresh()
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
  }
}
