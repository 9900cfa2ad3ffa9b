import type { RegionCommands } from '@tributary/contracts/commands'
import type { Message } from '@tributary/contracts/envelope'
import type { ShardAttempts } from './attempt/shard-attempts.ts'
import type { CentralLevel } from './central/central-level.ts'
import type { RegionDeployments } from './deployments/region-deployments.ts'
import type { DeviceDirectory } from './devices/device-directory.ts'
import type { ShardEvaluations } from './evaluation/shard-evaluations.ts'

export type CommandTargets = {
  readonly attempts: ShardAttempts
  readonly evaluations: ShardEvaluations
  readonly directory: DeviceDirectory
  readonly level: CentralLevel
  readonly deployments: RegionDeployments
  /** Central knows something newer than the node: ask now. */
  readonly askCentral: () => void
}

/** What each command of central does. All are edges: `status` tells the same as a level, so each may come twice or never. */
export const handleCommand =
  ({ attempts, evaluations, directory, level, deployments, askCentral }: CommandTargets) =>
  async (command: Message<RegionCommands>): Promise<void> => {
    switch (command.type) {
      case 'round.opened':
        if (!attempts.has(command.data) && level.doubts(command.data, command.time)) return askCentral()
        if (await attempts.reconcile(command.data)) askCentral()
        return
      case 'round.settled': {
        const { task, round, attempt, outcome } = command.data
        return attempts.settle({ task, round, attempt }, outcome)
      }
      case 'evaluation.opened':
        if (level.doubts(command.data.evaluation, command.time)) return askCentral()
        if (await evaluations.reconcile(command.data)) askCentral()
        return
      case 'task.cancelled':
        await attempts.cancelTask(command.data.task)
        return evaluations.settleTask(command.data.task)
      case 'task.paused':
      case 'task.resumed':
      case 'task.finished':
        // None of them names an attempt: a pause that comes late must not end the attempt after it. What is open or over afterwards comes with `round.opened`, `round.settled` and the status answer.
        return askCentral()
      case 'device.revoked':
        return directory.revoke(command.data.device)
      case 'model.released':
        if (deployments.released(command.data, command.time)) askCentral()
    }
  }
