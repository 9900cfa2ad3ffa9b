import { InferenceError } from './inference-error.ts'
import type { InferenceTensor } from './tensor.ts'

/** Tensors that fit the model, and what is wanted of it. */
export type InferenceRequest = { readonly inputs: readonly InferenceTensor[]; readonly outputs: readonly string[] }

/** A request that waits for its turn. */
export type QueuedRequest = InferenceRequest & {
  /** Size of the first dimension; 0 where the request is not to be joined. */
  readonly rows: number
  /** Equal for requests that can be joined. */
  readonly likeness: string
  readonly enqueuedAt: number
  readonly settle: (outcome: InferenceResult | Error) => void
}

export type InferenceResult = {
  readonly outputs: readonly InferenceTensor[]
  /** Requests that ran together. */
  readonly joined: number
}

/** Requests of one version in their order, of bounded length. */
export class RequestQueue {
  readonly #most: number
  readonly #waiting = new Set<QueuedRequest>()

  /** @param most requests that may wait */
  constructor(most: number) {
    this.#most = most
  }

  get size(): number {
    return this.#waiting.size
  }

  /** When the one that waits for longest came, ms of performance.now(). */
  get oldest(): number | undefined {
    const [first] = this.#waiting
    return first?.enqueuedAt
  }

  /** Throws InferenceError BUSY. */
  add(request: QueuedRequest): void {
    if (this.#waiting.size >= this.#most) {
      throw new InferenceError('BUSY', `${this.#most} requests wait for this model already. Try again later.`)
    }
    this.#waiting.add(request)
  }

  remove(request: QueuedRequest): void {
    this.#waiting.delete(request)
  }

  /** Rows of those that would be taken next. */
  nextRows(mostRows: number): number {
    return this.#next(mostRows).reduce((sum, { rows }) => sum + rows, 0)
  }

  /** Takes the first request and those that can be joined with it, up to so many rows. */
  take(mostRows: number): QueuedRequest[] {
    const taken = this.#next(mostRows)
    for (const request of taken) this.#waiting.delete(request)
    return taken
  }

  /** Takes all. */
  clear(): QueuedRequest[] {
    const taken = [...this.#waiting]
    this.#waiting.clear()
    return taken
  }

  #next(mostRows: number): QueuedRequest[] {
    const [first] = this.#waiting
    if (first === undefined) return []
    if (first.rows === 0) return [first]
    const chosen: QueuedRequest[] = []
    let rows = 0
    for (const request of this.#waiting) {
      if (request.rows === 0 || request.likeness !== first.likeness) continue
      if (chosen.length > 0 && rows + request.rows > mostRows) continue
      chosen.push(request)
      rows += request.rows
      if (rows >= mostRows) break
    }
    return chosen
  }
}
