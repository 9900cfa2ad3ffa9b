import { create } from '@bufbuild/protobuf'
import { type FailedWork, FailedWorkSchema } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import type { Outbox } from '../../state/outbox.ts'
import type { Failure } from '../job/failure.ts'

/** Work that cannot be done here and of which the node must be told, one declaration for each token. */
export class DeclaredFailures {
  readonly #outbox: Pick<Outbox, 'failures' | 'addFailure' | 'removeFailures'>

  constructor(outbox: Pick<Outbox, 'failures' | 'addFailure' | 'removeFailures'>) {
    this.#outbox = outbox
  }

  /** The first declaration for a token stands. */
  declare(token: string, failure: Failure | undefined): void {
    if (failure !== undefined) this.#outbox.addFailure({ token, ...failure })
  }

  get waiting(): FailedWork[] {
    return this.#outbox.failures.map(failure => create(FailedWorkSchema, failure))
  }

  /** The node has these in its log. */
  told(declared: readonly FailedWork[]): void {
    this.#outbox.removeFailures(declared.map(({ token }) => token))
  }
}
