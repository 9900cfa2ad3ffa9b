import type { CreateTask } from '@tributary/contracts/tasks'
import type { Context } from '../context.ts'
import type { Transaction } from '../database/transaction.ts'
import { checkRegions, checkTask } from './check-task.ts'
import { chooseVersion } from './choose-version.ts'
import { dryRunRegion } from './dry-run-region.ts'
import { keepTaskLocally, type TaskManifest } from './keep-local/keep-task-locally.ts'
import { drawSeed } from './task-seed.ts'

/** Settings as a task keeps them, and what follows from them. */
type TaskPlan = {
  readonly settings: CreateTask
  readonly seed: number
  readonly version: string
  /** Where it runs; empty: everywhere. */
  readonly regions: readonly string[]
  readonly rounds: number
  /** Null where the rounds go by the version's own manifest. */
  readonly local: TaskManifest | null
}

/**
 * Checks the settings of a task against what is registered, and fills in what they leave open.
 * @throws TributaryError as `chooseVersion`, `checkTask`, `checkRegions`, `dryRunRegion` and `keepTaskLocally`
 */
export const planTask = async (
  { store }: Pick<Context, 'store'>,
  sql: Transaction,
  wishes: CreateTask,
  signal: AbortSignal,
): Promise<TaskPlan> => {
  const { dryRun, personalisation } = wishes
  const version = await chooseVersion(sql, wishes.model)
  checkTask(wishes, version)
  await checkRegions(sql, wishes.regions)
  const seed = wishes.seed ?? drawSeed()
  return {
    settings: { ...wishes, seed },
    seed,
    version: version.id,
    regions: dryRun === undefined ? wishes.regions : [await dryRunRegion(sql, dryRun.device, wishes.regions)],
    rounds: dryRun === undefined ? wishes.rounds : 1,
    local:
      personalisation === undefined
        ? null
        : await keepTaskLocally(
            store,
            sql,
            { model: wishes.model.model, version: version.id },
            personalisation,
            signal,
          ),
  }
}
