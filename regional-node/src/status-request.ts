import { memoryUsage } from 'node:process'
import type { NodeStatusRequest } from '@tributary/contracts/node-status'
import type { ShardAttempts } from './attempt/shard-attempts.ts'
import type { ShardFolders } from './attempt/shard-folders.ts'
import type { DeviceDirectory } from './devices/device-directory.ts'
import type { Presence } from './devices/presence.ts'
import type { ShardEvaluations } from './evaluation/shard-evaluations.ts'

const most = 4096

export type StatusSources = {
  readonly nodeVersion: string
  readonly boot: string
  readonly endpoint: () => string
  readonly isDraining: () => boolean
  readonly connections: () => number
  readonly folders: ShardFolders
  readonly attempts: ShardAttempts
  readonly evaluations: ShardEvaluations
  readonly directory: DeviceDirectory
  readonly presence: Presence
}

/** What the node tells central: the shards whose log is on its disk, with their epoch, progress, presence and load. */
export const statusRequest = (node: StatusSources) => (): NodeStatusRequest => {
  node.presence.review()
  const online = (shard: number, kind: 'trainer' | 'evaluator'): number =>
    node.directory.ofShard(shard, kind).reduce((sum, { device }) => sum + (node.presence.online(device) ? 1 : 0), 0)
  return {
    nodeVersion: node.nodeVersion,
    endpoint: node.endpoint(),
    boot: node.boot,
    draining: node.isDraining(),
    shards: node.folders.kept.slice(0, most).map(({ shard, epoch }) => ({
      shard,
      epoch,
      devicesOnline: online(shard, 'trainer'),
      evaluatorsOnline: online(shard, 'evaluator'),
    })),
    progress: node.attempts.progress.slice(0, most),
    holding: node.attempts.holding.slice(0, most),
    holdingEvaluations: node.evaluations.holding.slice(0, most),
    directorySequence: node.directory.sequence,
    load: { rssBytes: memoryUsage.rss(), connections: node.connections() },
  }
}
