import { TributaryError } from '@tributary/contracts/errors'
import type { CreateTask } from '@tributary/contracts/tasks'
import { statisticsRounds } from '@tributary/learning/statistics/feature-statistics'
import type { Manifest } from '@tributary/tensors/manifest'
import type { ObjectStore } from '../../adapters/object-store.ts'
import type { Transaction } from '../../database/transaction.ts'
import { parseManifest } from '../../models/check-manifest.ts'
import { declaredBundle, readStoredFile } from '../../models/stored-file.ts'
import { selectVersion } from '../../models/version-row.ts'
import { chooseVersion } from '../choose-version.ts'

/** Statistics that a task names, as a version of their model. */
type ChosenStatistics = { readonly model: string; readonly version: string }

/**
 * The finished statistics that a task names, now. They are held against the input of its model, whose manifest is read while the
 * transaction holds both versions; what has no input there, the devices hold against their data.
 * @throws TributaryError MODEL_INVALID, and as `chooseVersion`
 */
export const chooseStatistics = async (
  store: ObjectStore,
  sql: Transaction,
  choice: NonNullable<CreateTask['statistics']>,
  of: { readonly model: string; readonly version: string },
  signal: AbortSignal,
): Promise<ChosenStatistics> => {
  const { id, statistics: entries, round } = await chooseVersion(sql, choice)
  if (entries === null) throw invalid(`version ${id} is a model`)
  if (round === null || round < statisticsRounds)
    throw invalid(`version ${id} is not finished: wait for round ${statisticsRounds} of the task that finds it`)
  const { manifest } = declaredBundle(await selectVersion(sql, of))
  if (manifest !== null) checkFit(entries, parseManifest(await readStoredFile(store, manifest, signal)))
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
