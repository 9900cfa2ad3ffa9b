import type { CreateTask } from '@tributary/contracts/tasks'
import { statisticsRounds } from '@tributary/learning/statistics/feature-statistics'
import type { Transaction } from '../database/transaction.ts'
import { checkRegions, checkTask } from './check-task.ts'
import { chooseVersion } from './choose-version.ts'
import { dryRunRegion } from './dry-run-region.ts'
import type { TaskManifest } from './keep-local/keep-task-locally.ts'
import type { PreparedTask } from './prepare-task.ts'
import { chooseStatistics } from './statistics/choose-statistics.ts'
import { drawSeed } from './task-seed.ts'

/** Settings as a task keeps them, and what follows from them. */
type TaskPlan = {
  readonly settings: CreateTask
  readonly seed: number
  readonly version: string
  /** Where it runs; empty: everywhere. */
  readonly regions: readonly string[]
  readonly rounds: number
  /** Version of the statistics by which data sets are normalised, or null. */
  readonly statistics: string | null
  /** Null where the rounds go by the version's own manifest. */
  readonly local: TaskManifest | null
}

/**
 * Checks the settings of a task against what is registered, and fills in what they leave open.
 * @param prepared from `prepareTask`
 * @throws TributaryError as `chooseVersion`, `checkTask`, `checkRegions`, `dryRunRegion` and `chooseStatistics`
 */
export const planTask = async (
  sql: Transaction,
  wishes: CreateTask,
  prepared: PreparedTask | null,
): Promise<TaskPlan> => {
  const { dryRun } = wishes
  const { model } = wishes.model
  const version = await chooseVersion(sql, prepared === null ? wishes.model : { model, version: prepared.version })
  checkTask(wishes, version)
  await checkRegions(sql, wishes.regions)
  const seed = wishes.seed ?? drawSeed()
  const rounds = wishes.trainer.framework === 'statistics' ? statisticsRounds : wishes.rounds
  const statistics =
    wishes.statistics && prepared && (await chooseStatistics(sql, wishes.statistics, prepared.manifest))
  return {
    // Pinned: an alias that moves later changes nothing, for a clone neither.
    settings: { ...wishes, rounds, seed, ...(statistics && { statistics }) },
    seed,
    version: version.id,
    regions: dryRun === undefined ? wishes.regions : [await dryRunRegion(sql, dryRun.device, wishes.regions)],
    rounds: dryRun === undefined ? rounds : 1,
    statistics: statistics?.version ?? null,
    local: prepared?.local ?? null,
  }
}
