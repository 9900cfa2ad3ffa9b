import type { NodeStatusAnswer } from '@tributary/contracts/node-status'
import type { ShardEvaluations } from '../evaluation/shard-evaluations.ts'
import type { Journal } from '../journal/journal.ts'
import { LogKey } from '../log/log-key.ts'
import type { ShardAttempts } from './shard-attempts.ts'
import type { ShardFolders } from './shard-folders.ts'

type Lease = NodeStatusAnswer['leases'][number]

/** What a lease found: data that it opened a moment ago, data that is open, none so far, or none that can be used. */
export type OpenedShard = 'opened' | 'open' | 'new' | 'void'

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
    return 'void'
  }
  if (folders.epochOf(shard) !== epoch) {
    // Another epoch: what was kept for the shard is void, whoever sent it sends again.
    await voidAll()
    await folders.begin(shard, epoch, key)
    return 'new'
  }
  if (folders.keyOf(shard) !== undefined) return 'open'
  folders.unlock(shard, key)
  try {
    await attempts.replay(shard, epoch)
    await evaluations.replay(shard, epoch)
    return 'opened'
  } catch (error) {
    return lost(error)
  }
}
