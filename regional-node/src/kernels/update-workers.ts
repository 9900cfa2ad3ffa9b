import type { SumRule } from '@tributary/learning/exact-sum/sum-rule'
import type { Manifest } from '@tributary/tensors/manifest'
import { UpdateRound } from './update-round.ts'
import { WorkerPool, type WorkerPoolOptions } from './worker-pool.ts'

/**
 * Threads that check updates and add them to sums, so that the event loop does not. They read files by themselves: no body passes
 * from thread to thread.
 */
export class UpdateWorkers implements AsyncDisposable {
  readonly #pool: WorkerPool

  private constructor(pool: WorkerPool) {
    this.#pool = pool
  }

  static open(options: WorkerPoolOptions): UpdateWorkers {
    return new UpdateWorkers(new WorkerPool(options))
  }

  /** Jobs that wait for a thread. */
  get queued(): number {
    return this.#pool.queued
  }

  /**
   * The work of one attempt.
   * @throws SumError SUM_WOULD_OVERFLOW when the rule leaves no room for an exact sum
   */
  round(manifest: Manifest, rule: SumRule): UpdateRound {
    return new UpdateRound(this.#pool, { manifest, rule })
  }

  /** Ends jobs and threads; waits a bounded time for them. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#pool[Symbol.asyncDispose]()
  }
}
