import { TributaryError } from '@tributary/contracts/errors'
import type { CreateTask } from '@tributary/contracts/tasks'
import { statisticsRounds } from '@tributary/learning/statistics/feature-statistics'
import type { Manifest } from '@tributary/tensors/manifest'
import type { Transaction } from '../../database/transaction.ts'
import { chooseVersion } from '../choose-version.ts'

/** Statistics that a task names, as a version of their model. */
type ChosenStatistics = { readonly model: string; readonly version: string }

/**
 * The finished statistics that a task names, now. They are held against the input of its model; what has no input there, the
 * devices hold against their data.
 * @throws TributaryError MODEL_INVALID, and as `chooseVersion`
 */
export const chooseStatistics = async (
  sql: Transaction,
  choice: NonNullable<CreateTask['statistics']>,
  manifest: Manifest,
): Promise<ChosenStatistics> => {
  const { id, statistics: entries, round } = await chooseVersion(sql, choice)
  if (entries === null) throw invalid(`version ${id} is a model`)
  if (round === null || round < statisticsRounds)
    throw invalid(`version ${id} is not finished: wait for round ${statisticsRounds} of the task that finds it`)
  checkFit(entries, manifest)
  return { model: choice.model, version: id }
}

/** One entry for each feature, for each channel, or for all. */
const checkFit = (entries: number, { inputs: [input] }: Manifest): void => {
  const sizes = input?.shape.slice(1) ?? [null]
  if (!sizes.every(size => size !== null)) return
  const features = sizes.reduce((product, size) => product * size, 1)
  if (features % entries === 0) return
  throw invalid(`${entries} entries do not fit the ${features} features of the model's input`)
}

const invalid = (what: string): TributaryError => new TributaryError('MODEL_INVALID', { detail: `statistics: ${what}` })
