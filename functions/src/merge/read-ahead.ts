/** Starts one read; the signal aborts it when nobody waits for it any more. */
export type Read<T> = (signal: AbortSignal) => Promise<T>

/**
 * Runs reads ahead of their use, at most `window` at a time, and gives their results in order: memory is bounded by the
 * window, and the time of one read hides behind the others.
 * @throws what the first failing read throws; the others are aborted then
 */
export async function* readAhead<T>(reads: Iterable<Read<T>>, window: number, signal: AbortSignal): AsyncGenerator<T> {
  const ending = new AbortController()
  const either = AbortSignal.any([signal, ending.signal])
  const iterator = reads[Symbol.iterator]()
  const pending: Promise<T>[] = []
  try {
    for (;;) {
      while (pending.length < window) {
        const { value: read, done } = iterator.next()
        if (done) break
        const result = read(either)
        // Awaited in its turn; until then a failure must not count as unhandled.
        result.catch(() => undefined)
        pending.push(result)
      }
      const next = pending.shift()
      if (next === undefined) return
      yield await next
    }
  } finally {
    ending.abort()
    await Promise.allSettled(pending)
  }
}
