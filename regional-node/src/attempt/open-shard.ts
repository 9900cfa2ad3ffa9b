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
export const openShard = async (opening: ShardOpening, { shard, epoch, logKey }: Lease): Promise<OpenedShard> => {
  const { folders, attempts, evaluations, journal } = opening
  // A lease that was renewed while its data was found damaged.
  if (folders.isCondemned(shard, epoch)) return 'void'
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
    await voidShard(opening, shard)
    await folders.begin(shard, epoch, key)
    return 'new'
  }
  if (folders.keyOf(shard) !== undefined) return 'open'
  try {
    await attempts.replay(shard, epoch, key)
    await evaluations.replay(shard, epoch, key)
  } catch (error) {
    folders.condemn(shard, epoch)
    reportLost(journal, shard, error)
    await voidShard(opening, shard)
    return 'void'
  }
  // From now on commands are for it, too.
  folders.unlock(shard, key)
  return 'opened'
}

const voidShard = async ({ attempts, evaluations, folders }: ShardOpening, shard: number): Promise<void> => {
  await attempts.voidShard(shard)
  await evaluations.voidShard(shard)
  await folders.remove(shard)
}

const reportLost = (journal: Journal, shard: number, error: unknown): void =>
  journal.report('error', `the log of the shard is void: ${(error as Error).message}`, { shard, code: 'SHARD_LOST' })

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

  /**
   * What a shard's log promised was found damaged while the shard was open: it is void, as where that is found at a start. `onOpened`
   * tells when the next epoch may come.
   */
  lose({ shard, epoch }: { readonly shard: number; readonly epoch: number }, error: unknown): void {
    const { folders, journal } = this.#opening
    if (folders.isCondemned(shard, epoch)) return
    folders.condemn(shard, epoch)
    reportLost(journal, shard, error)
    const before = this.#running.get(shard)
    const running = (async (): Promise<OpenedShard> => {
      await before?.catch(() => {})
      // A newer epoch has begun meanwhile, with nothing of this one.
      if (folders.epochOf(shard) === undefined) await voidShard(this.#opening, shard)
      return 'void'
    })()
    this.#track(shard, running)
    // What could not be removed is found damaged again at the next start.
    void running.catch(() => {}).then(this.#onOpened)
  }

  async open(lease: Lease): Promise<OpenedShard | 'opening'> {
    // Whatever the answer says of it now, it says again once the shard is open.
    if (this.#running.has(lease.shard)) return 'opening'
    const running = openShard(this.#opening, lease)
    this.#track(lease.shard, running)
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

  #track(shard: number, running: Promise<OpenedShard>): void {
    const tracked: Promise<OpenedShard> = running.finally(() => {
      if (this.#running.get(shard) === tracked) this.#running.delete(shard)
    })
    tracked.catch(() => {})
    this.#running.set(shard, tracked)
  }
}
