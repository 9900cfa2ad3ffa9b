import type { TaskDetail } from '@tributary/contracts/tasks'

const mostKept = 64
/** What a stamp does not see is shown after this time at the latest. */
const keptMillis = 2000

/** Details of tasks that were asked for lately, by the stamp they were read under. The same object again is not written again. */
export class RecentDetails {
  readonly #kept = new Map<string, { readonly stamp: string; readonly detail: TaskDetail; readonly until: number }>()

  find(task: string, stamp: string): TaskDetail | undefined {
    const found = this.#kept.get(task)
    return found?.stamp === stamp && found.until > performance.now() ? found.detail : undefined
  }

  keep(stamp: string, detail: TaskDetail): void {
    this.#kept.delete(detail.id)
    this.#kept.set(detail.id, { stamp, detail, until: performance.now() + keptMillis })
    const [oldest] = this.#kept.keys()
    if (this.#kept.size > mostKept && oldest !== undefined) this.#kept.delete(oldest)
  }
}
