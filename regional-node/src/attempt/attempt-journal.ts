import { TributaryError } from '@tributary/contracts/errors'
import { deviceLogParts, mostDeviceLogs } from '../journal/device-log.ts'
import type { JournalContext } from '../journal/journal.ts'
import type { AttemptContext } from './attempt-context.ts'
import type { AttemptRecord } from './attempt-records.ts'
import type { ShardState } from './round/shard-state.ts'

/** What an operator is told of one attempt, and what is counted. */
export class AttemptJournal {
  readonly #context: Pick<AttemptContext, 'journal' | 'metrics'>
  readonly #state: ShardState
  readonly #deviceLogs = new Map<string, string>()
  #toldLogs = 0

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
      this.#tellDeviceLog(device)
    }
    if (record.kind === 'summed') {
      const { accepted, empty, invalid, failed, closing: reason = '' } = this.#state
      const { selected, weight } = record.event
      const fields = { reason, accepted, selected, empty, invalid, failed, weight }
      this.tell('info', `shard closed (${reason}): ${accepted} of ${selected} accepted`, { fields })
    }
  }

  /** Holds the end of a device's log until what it is about is durable; dispose of it then. */
  withDeviceLog(device: string, text: string): Disposable {
    if (text !== '' && this.#toldLogs + this.#deviceLogs.size < mostDeviceLogs) this.#deviceLogs.set(device, text)
    return { [Symbol.dispose]: () => void this.#deviceLogs.delete(device) }
  }

  failed(message: string, error: unknown): void {
    const code = error instanceof TributaryError ? { code: error.code } : {}
    this.tell('warn', `${message}: ${(error as Error).message}`, code)
  }

  tell(level: 'info' | 'warn', message: string, about: JournalContext): void {
    const { task, round, attempt } = this.#state.descriptor
    this.#context.journal.report(level, message, { task, round, attempt, shard: this.#state.plan.shard, ...about })
  }

  #tellDeviceLog(device: string): void {
    const parts = deviceLogParts(this.#deviceLogs.get(device) ?? '')
    if (parts.length > 0) this.#toldLogs += 1
    for (const { message, fields } of parts) this.tell('info', message, { device, fields })
  }
}
