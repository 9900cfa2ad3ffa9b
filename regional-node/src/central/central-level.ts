import { type AttemptRef, attemptKey } from '@tributary/contracts/ids'
import type { NodeStatusAnswer } from '@tributary/contracts/node-status'

/**
 * What the last status answer said is open: the level against which commands, the edges, are held. A command may be delivered
 * again long after its work was settled, also to a node that has forgotten, or never knew, how that ended.
 */
export class CentralLevel {
  #time = Number.NEGATIVE_INFINITY
  #open: ReadonlySet<string> = new Set()

  heard({ time, attempts, evaluations }: Pick<NodeStatusAnswer, 'time' | 'attempts' | 'evaluations'>): void {
    this.#time = Date.parse(time)
    this.#open = new Set([...attempts.map(attemptKey), ...evaluations.map(({ evaluation }) => evaluation)])
  }

  /**
   * Whether a command that opens work is older than the last answer, which did not name that work. It is over, most likely; or its
   * transaction was not committed yet when the answer was read, and the next one names it.
   * @param work attempt or id of an evaluation
   * @param commandTime when the command was written
   */
  doubts(work: AttemptRef | string, commandTime: string): boolean {
    const key = typeof work === 'string' ? work : attemptKey(work)
    return Date.parse(commandTime) < this.#time && !this.#open.has(key)
  }
}
