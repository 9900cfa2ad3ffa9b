import { getHeapStatistics } from 'node:v8'

const MiB = 1024 * 1024
/** Garbage beside the heap that may wait, with what is in use meanwhile. */
const mostGrowth = 24 * MiB
/** What V8 lets come since its last collection, whatever its options say (`kExternalAllocationSoftLimit`). */
const growthOfV8 = 64 * MiB
/** At a gigabit a second some twelve megabytes come between two looks. */
const lookMillis = 100
/** How long a collection may take, which goes on beside the work. */
const collectMillis = 2000

/** Tells when memory beside the heap has grown by so much that garbage is to be collected. */
export class GarbageRule {
  readonly #mostGrowth: number
  #least = Number.POSITIVE_INFINITY
  #notBefore = Number.NEGATIVE_INFINITY

  /** @param growth bytes */
  constructor(growth: number) {
    this.#mostGrowth = growth
  }

  /**
   * Growth counts from the least that there was since the last time. What a collection did not free is in use.
   * @param bytes that there are beside the heap
   * @param now milliseconds of a clock that nobody sets
   */
  isDue(bytes: number, now: number): boolean {
    this.#least = Math.min(this.#least, bytes)
    if (bytes <= this.#least + this.#mostGrowth || now < this.#notBefore) return false
    this.#notBefore = now + collectMillis
    this.#least = bytes
    return true
  }
}

/**
 * Bounds what waits beside the heap to be collected: pieces of messages as HTTP/2 hands them out, which came to be old while their message was
 * under way. V8 alone lets so much of it stand that resident memory depends on when it happens to look. It begins a collection,
 * concurrently, once memory beside the heap has grown by a limit of its own; memory that nobody touches counts, and takes none.
 */
export const boundGarbage = (): Disposable => {
  const rule = new GarbageRule(mostGrowth)
  const timer = setInterval(() => {
    if (rule.isDue(getHeapStatistics().external_memory, performance.now())) new ArrayBuffer(growthOfV8).transfer(0)
  }, lookMillis)
  timer.unref()
  return { [Symbol.dispose]: () => clearInterval(timer) }
}
