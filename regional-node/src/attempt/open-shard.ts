import type { NodeStatusAnswer } from '@tributary/contracts/node-status'
import { type Clock, pause } from '../clock.ts'
import type { ShardEvaluations } from '../evaluation/shard-evaluations.ts'
import type { Journal } from '../journal/journal.ts'
import { LogKey } from '../log/log-key.ts'
import type { ShardAttempts } from './shard-attempts.ts'
import type { ShardFolders } from './shard-folders.ts'

type Lease = NodeStatusAnswer['leases'][number]

/** What a lease found: data that it opened a moment ago, data that is open, none so far, none that can be used, or it had no key. */
export type OpenedShard = 'opened' | 'open' | 'new' | 'void' | 'keyless'

export type ShardOpening = {
  readonly folders: ShardFolders
  readonly attempts: ShardAttempts
  readonly evaluations: ShardEvaluations
  readonly journal: Journal
}

/**
 * Makes ready what a lease is for. The key that comes with it opens the logs that the node kept from before a restart; a log that it
 * does not open, or that is damaged, is void: the epoch is not listed any more, central raises it, and devices send again.
 */
export const openShard = async (
  { folders, attempts, evaluations, journal }: ShardOpening,
  { shard, epoch, logKey }: Lease,
): Promise<OpenedShard> => {
  const voidAll = async (): Promise<void> => {
    await attempts.voidShard(shard)
    await evaluations.voidShard(shard)
    await folders.remove(shard)
  }
  const lost = async (error: unknown): Promise<OpenedShard> => {
    journal.report('error', `the log of the shard is void: ${(error as Error).message}`, { shard, code: 'SHARD_LOST' })
    await voidAll()
    return 'void'
  }
  let key: LogKey
  try {
    key = LogKey.parse(logKey)
  } catch (error) {
    // Nothing is kept unsealed. What is there stays: the next answer may bring the key.
    journal.report('error', `a lease came without a usable key: ${(error as Error).message}`, { shard })
    return 'keyless'
  }
  if (folders.epochOf(shard) !== epoch) {
    // Another epoch: what was kept for the shard is void, whoever sent it sends again.
    await voidAll()
    await folders.begin(shard, epoch, key)
    return 'new'
  }
  if (folders.keyOf(shard) !== undefined) return 'open'
  try {
    await attempts.replay(shard, epoch, key)
    await evaluations.replay(shard, epoch, key)
  } catch (error) {
    return lost(error)
  }
  // From now on commands are for it, too.
  folders.unlock(shard, key)
  return 'opened'
}

/** How long a status answer waits for logs to be opened; what takes longer goes on beside it. */
const openMillis = 2000

/**
 * Opens shards, each once at a time. Logs that take long must not hold up the status calls that renew the leases: such a shard is
 * `opening`, and `onOpened` tells when it is not any more.
 */
export class ShardOpener {
  readonly #opening: ShardOpening
  readonly #clock: Clock
  readonly #onOpened: () => void
  readonly #running = new Map<number, Promise<OpenedShard>>()

  constructor(opening: ShardOpening, clock: Clock, onOpened: () => void) {
    this.#opening = opening
    this.#clock = clock
    this.#onOpened = onOpened
  }

  async open(lease: Lease): Promise<OpenedShard | 'opening'> {
    // Whatever the answer says of it now, it says again once the shard is open.
    if (this.#running.has(lease.shard)) return 'opening'
    const running = openShard(this.#opening, lease).finally(() => this.#running.delete(lease.shard))
    this.#running.set(lease.shard, running)
    const waited = new AbortController()
    const late = pause(this.#clock, openMillis, waited.signal).then(
      () => 'opening' as const,
      () => running,
    )
    try {
      const first = await Promise.race([running, late])
      if (first === 'opening') void running.catch(() => {}).then(this.#onOpened)
      return first
    } finally {
      waited.abort()
    }
  }
}
