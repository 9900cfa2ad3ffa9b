import { memoryUsage } from 'node:process'
import type { NodeStatusRequest } from '@tributary/contracts/node-status'
import type { ShardAttempts } from './attempt/shard-attempts.ts'
import type { ShardFolders } from './attempt/shard-folders.ts'
import type { DeploymentReports } from './deployments/deployment-reports.ts'
import type { DescriptionReport } from './devices/description-report.ts'
import type { DeviceDirectory } from './devices/device-directory.ts'
import type { Presence } from './devices/presence.ts'
import type { PresenceReport } from './devices/presence-report.ts'
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
  readonly presenceReport: PresenceReport
  readonly deploymentReports: DeploymentReports
  readonly descriptionReport: DescriptionReport
}

/** What the node tells central: the shards whose log is on its disk, with their epoch, progress, presence and load. */
export const statusRequest = (node: StatusSources) => (): NodeStatusRequest => {
  node.presence.review()
  const online = onlineByShard(node)
  return {
    nodeVersion: node.nodeVersion,
    endpoint: node.endpoint(),
    boot: node.boot,
    draining: node.isDraining(),
    shards: node.folders.kept.slice(0, most).map(({ shard, epoch }) => ({
      shard,
      epoch,
      devicesOnline: online.trainer.get(shard) ?? 0,
      evaluatorsOnline: online.evaluator.get(shard) ?? 0,
    })),
    progress: node.attempts.progress.slice(0, most),
    holding: node.attempts.holding.slice(0, most),
    holdingEvaluations: node.evaluations.holding.slice(0, most),
    directorySequence: node.directory.sequence,
    presence: node.presenceReport.next(),
    deploymentReports: node.deploymentReports.next(),
    datasetDescriptions: node.descriptionReport.next(),
    load: { rssBytes: memoryUsage.rss(), connections: node.connections() },
  }
}

/** One walk over who checked in: a node may have thousands of shards. */
const onlineByShard = ({ presence, directory }: Pick<StatusSources, 'presence' | 'directory'>) => {
  const counts = { trainer: new Map<number, number>(), evaluator: new Map<number, number>() }
  for (const { device, online } of presence.states()) {
    const known = online ? directory.get(device) : undefined
    if (known === undefined || known.revoked) continue
    const ofKind = counts[known.kind]
    ofKind.set(known.shard, (ofKind.get(known.shard) ?? 0) + 1)
  }
  return counts
}
