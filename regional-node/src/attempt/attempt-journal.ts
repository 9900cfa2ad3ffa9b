import { TributaryError } from '@tributary/contracts/errors'
import type { JournalContext } from '../journal/journal.ts'
import type { AttemptContext } from './attempt-context.ts'
import type { AttemptRecord } from './attempt-records.ts'
import type { ShardState } from './round/shard-state.ts'

/** What an operator is told of one attempt, and what is counted. */
export class AttemptJournal {
  readonly #context: Pick<AttemptContext, 'journal' | 'metrics'>
  readonly #state: ShardState

  constructor(context: Pick<AttemptContext, 'journal' | 'metrics'>, state: ShardState) {
    this.#context = context
    this.#state = state
  }

  /** A record became durable. */
  recorded(record: AttemptRecord): void {
    const { updates, folds } = this.#context.metrics
    if (record.kind === 'accepted') updates.add({ verdict: record.weight > 0 ? 'accepted' : 'empty' })
    if (record.kind === 'folded') folds.add()
    if (record.kind === 'invalid') {
      updates.add({ verdict: 'invalid' })
      const { device, code, tensor, detail } = record
      const fields = tensor === '' ? {} : { fields: { tensor: tensor.slice(0, 500) } }
      this.tell('warn', `update refused: ${detail}`, { device, code, ...fields })
    }
    if (record.kind === 'failed') {
      updates.add({ verdict: 'failed' })
      const { device, code, detail } = record
      this.tell('warn', `the device cannot do its part: ${detail}`, { device, code })
    }
    if (record.kind === 'summed') {
      const { accepted, empty, invalid, failed, closing: reason = '' } = this.#state
      const { selected, weight } = record.event
      const fields = { reason, accepted, selected, empty, invalid, failed, weight }
      this.tell('info', `shard closed (${reason}): ${accepted} of ${selected} accepted`, { fields })
    }
  }

  failed(message: string, error: unknown): void {
    const code = error instanceof TributaryError ? { code: error.code } : {}
    this.tell('warn', `${message}: ${(error as Error).message}`, code)
  }

  tell(level: 'info' | 'warn', message: string, about: JournalContext): void {
    const { task, round, attempt } = this.#state.descriptor
    this.#context.journal.report(level, message, { task, round, attempt, shard: this.#state.plan.shard, ...about })
  }
}
