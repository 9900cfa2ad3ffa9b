import type { NodeStatusAnswer } from '@tributary/contracts/node-status'
import type { ShardAttempts } from './attempt/shard-attempts.ts'
import type { ShardFolders } from './attempt/shard-folders.ts'
import type { CentralLevel } from './central/central-level.ts'
import type { LeaseTable } from './central/lease-table.ts'
import type { DeviceDirectory } from './devices/device-directory.ts'
import type { ShardEvaluations } from './evaluation/shard-evaluations.ts'

export type StatusTargets = {
  readonly leases: LeaseTable
  readonly folders: ShardFolders
  readonly attempts: ShardAttempts
  readonly evaluations: ShardEvaluations
  readonly directory: DeviceDirectory
  readonly level: CentralLevel
}

/**
 * Takes over central's answer: leases, then what is settled, then what is open. The level of which commands are the edges.
 * True where a lease is new: the request was made without the shard, so central does not know yet who is online there.
 */
export const applyStatus =
  ({ leases, folders, attempts, evaluations, directory, level }: StatusTargets) =>
  async (answer: NodeStatusAnswer, sentAt: number): Promise<boolean> => {
    let isNew = false
    level.heard(answer)
    directory.apply(answer)
    for (const { shard, epoch } of answer.leases) {
      if (folders.epochOf(shard) === epoch) continue
      // Another epoch: what was kept for the shard is void, whoever sent it sends again.
      await attempts.voidShard(shard)
      await evaluations.voidShard(shard)
      await folders.begin(shard, epoch)
      isNew = true
    }
    leases.renew(answer, sentAt)
    for (const { shard } of answer.leases) {
      attempts.leased(shard)
      evaluations.leased(shard)
    }
    for (const { outcome, task, round, attempt } of answer.settled)
      await attempts.settle({ task, round, attempt }, outcome)
    for (const id of answer.settledEvaluations) await evaluations.settle(id)
    for (const descriptor of answer.attempts) await attempts.reconcile(descriptor)
    for (const descriptor of answer.evaluations) await evaluations.reconcile(descriptor)
    return isNew
  }
