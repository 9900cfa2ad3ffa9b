import type { ShardSummed } from '@tributary/contracts/events'
import { backoffMillis, pause } from '../clock.ts'
import { isMissing } from '../log/durable-files.ts'
import { failpoint } from '../log/failpoint.ts'
import { LogCorruptError } from '../log/log-corrupt-error.ts'
import { isNoRoom } from '../log/no-room-error.ts'
import type { AttemptContext } from './attempt-context.ts'
import type { AttemptJournal } from './attempt-journal.ts'
import type { OpenedAttempt } from './open-attempt.ts'
import { participationLines } from './participation-list.ts'
import { storeShardResult } from './shard-result.ts'
import type { Stragglers } from './stragglers.ts'

/** How long a node waits for its lease to be renewed before it looks again. */
const leasePollMillis = 250

/** Brings what a closed shard contributes to object storage and to central, however often that fails. */
export class ResultDelivery {
  readonly #opened: OpenedAttempt
  readonly #context: AttemptContext
  readonly #journal: AttemptJournal
  readonly #signal: AbortSignal

  /** @param signal ends every try; the methods then reject with its reason */
  constructor(opened: OpenedAttempt, context: AttemptContext, journal: AttemptJournal, signal: AbortSignal) {
    this.#opened = opened
    this.#context = context
    this.#journal = journal
    this.#signal = signal
  }

  /**
   * Sum and participation list to object storage, under the lease.
   * @throws LogCorruptError where the sum file is not what was recorded
   */
  async store(stragglers: Stragglers): Promise<ShardSummed> {
    const { store, identity, room } = this.#context
    const { folder, key, log, machine, sums, spool } = this.#opened
    const signal = this.#signal
    return this.#untilDone('the shard sum cannot be stored', async () => {
      await this.#leaseHeld()
      const { folded } = machine.state
      const lines = participationLines(log, stragglers.withSpool(spool))
      const sum = folded === undefined ? null : sums.range(folded.sum)
      const place = { folder, key, node: identity.id, store, signal }
      return storeShardResult(machine.state, sum, lines, place).catch((error: unknown) => {
        if (isNoRoom(error)) room.noteFull(error)
        if (isMissing(error)) throw new LogCorruptError('the sum file is gone', { cause: error })
        throw error
      })
    })
  }

  /** Tells central; resolves once the broker confirmed. */
  async publish(event: ShardSummed): Promise<void> {
    const { publish, statusChanged } = this.#context
    await this.#untilDone('central cannot be told of the sum', () => publish('shard.summed', event, this.#signal))
    failpoint('result.after-event')
    statusChanged()
  }

  /** Does work again and again, with growing pauses, until it is done; what is damaged for good ends it. */
  async #untilDone<Result>(complaint: string, work: () => Promise<Result>): Promise<Result> {
    for (let tries = 0; ; tries += 1) {
      try {
        return await work()
      } catch (error) {
        this.#signal.throwIfAborted()
        if (error instanceof LogCorruptError) throw error
        this.#journal.failed(complaint, error)
        await pause(this.#context.clock, backoffMillis(tries, 200, 5000), this.#signal)
      }
    }
  }

  async #leaseHeld(): Promise<void> {
    const { leases, clock } = this.#context
    const { shard, epoch } = this.#opened.machine.state.plan
    while (!leases.holds(shard, epoch)) await pause(clock, leasePollMillis, this.#signal)
  }
}
