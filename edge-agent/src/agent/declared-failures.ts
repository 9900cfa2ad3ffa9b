import { create } from '@bufbuild/protobuf'
import { type FailedWork, FailedWorkSchema } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import type { Failure } from './failure.ts'

/** Most declarations that wait, oldest out first; a device has two jobs at a time. */
const capacity = 16

/** Work that cannot be done here and of which the node must be told, one declaration for each token. */
export class DeclaredFailures {
  readonly #waiting = new Map<string, FailedWork>()

  /** The first declaration for a token stands. */
  declare(token: string, failure: Failure | undefined): void {
    if (failure === undefined || this.#waiting.has(token)) return
    this.#waiting.set(token, create(FailedWorkSchema, { token, ...failure }))
    const [oldest] = this.#waiting.keys()
    if (this.#waiting.size > capacity && oldest !== undefined) this.#waiting.delete(oldest)
  }

  get waiting(): FailedWork[] {
    return [...this.#waiting.values()]
  }

  /** The node has these in its log. */
  told(declared: readonly FailedWork[]): void {
    for (const { token } of declared) this.#waiting.delete(token)
  }
}
