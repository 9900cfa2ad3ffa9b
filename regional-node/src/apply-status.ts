import type { NodeStatusAnswer } from '@tributary/contracts/node-status'
import type { ShardOpener } from './attempt/open-shard.ts'
import type { ShardAttempts } from './attempt/shard-attempts.ts'
import type { CentralLevel } from './central/central-level.ts'
import type { LeaseTable } from './central/lease-table.ts'
import type { RegionDeployments } from './deployments/region-deployments.ts'
import type { DeviceDirectory } from './devices/device-directory.ts'
import type { ShardEvaluations } from './evaluation/shard-evaluations.ts'

export type StatusTargets = {
  readonly shards: ShardOpener
  readonly attempts: ShardAttempts
  readonly evaluations: ShardEvaluations
  readonly leases: LeaseTable
  readonly directory: DeviceDirectory
  readonly level: CentralLevel
  readonly deployments: RegionDeployments
}

/**
 * Takes over central's answer: leases, then what is settled, then what is open. The level of which commands are the edges.
 * True where central must hear more at once: of a shard that is new the request did not say who is online, of one that was just opened not
 * what is held for it, and of one that is void that
 * its epoch is over.
 */
export const applyStatus =
  ({ shards, leases, attempts, evaluations, directory, level, deployments }: StatusTargets) =>
  async (answer: NodeStatusAnswer, sentAt: number): Promise<boolean> => {
    let hasNews = false
    level.heard(answer)
    directory.apply(answer)
    deployments.heard(answer)
    const usable: NodeStatusAnswer['leases'] = []
    for (const lease of answer.leases) {
      const opened = await shards.open(lease)
      if (opened === 'open' || opened === 'opened' || opened === 'new') usable.push(lease)
      if (opened === 'opened' || opened === 'new' || opened === 'void') hasNews = true
    }
    // A shard counts as leased only once its logs are open: before, devices would hear that nothing is known of them.
    leases.renew({ ...answer, leases: usable }, sentAt)
    for (const { shard } of usable) {
      attempts.leased(shard)
      evaluations.leased(shard)
    }
    for (const { outcome, task, round, attempt } of answer.settled)
      await attempts.settle({ task, round, attempt }, outcome)
    for (const id of answer.settledEvaluations) await evaluations.settle(id)
    for (const descriptor of answer.attempts) await attempts.reconcile(descriptor)
    for (const descriptor of answer.evaluations) await evaluations.reconcile(descriptor)
    return hasNews
  }
