import { type AttemptRef, attemptKey } from '@tributary/contracts/ids'
import type { AttemptOutcome } from '@tributary/contracts/round'

/** How the latest attempts ended, oldest forgotten first. A node that does not remember says `unknown`. */
export class SettledMemory {
  readonly #most: number
  readonly #outcomes = new Map<string, AttemptOutcome>()
  readonly #cancelledTasks = new Set<string>()

  constructor(most = 10_000) {
    this.#most = most
  }

  settled(ref: AttemptRef, outcome: AttemptOutcome): void {
    const key = attemptKey(ref)
    if (this.#outcomes.has(key)) return
    this.#outcomes.set(key, outcome)
    const [oldest] = this.#outcomes.keys()
    if (this.#outcomes.size > this.#most && oldest !== undefined) this.#outcomes.delete(oldest)
  }

  cancelled(task: string): void {
    this.#cancelledTasks.add(task)
    const [oldest] = this.#cancelledTasks
    if (this.#cancelledTasks.size > this.#most && oldest !== undefined) this.#cancelledTasks.delete(oldest)
  }

  outcomeOf(ref: AttemptRef): AttemptOutcome | undefined {
    return this.#cancelledTasks.has(ref.task) ? 'cancelled' : this.#outcomes.get(attemptKey(ref))
  }
}
