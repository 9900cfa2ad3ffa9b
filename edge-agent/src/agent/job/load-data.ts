import { decodeStatistics, type FeatureStatistics } from '@tributary/learning/statistics/feature-statistics'
import { StatisticsError } from '@tributary/learning/statistics/statistics-error'
import type { StoredDataset } from '../../data/datasets.ts'
import type { NodeClient } from '../../transport/node-client.ts'
import { pullObject } from '../../transport/pull-object.ts'
import type { AgentContext } from '../context.ts'
import type { JobControl } from './job-slot.ts'
import { type DataRef, ModelError } from './work.ts'

/**
 * The data set of a job as the model takes it. Statistics that come with the work are pulled and used only where the owner declared
 * the data set so: central decides nothing about how data is read.
 * @throws DataError as `Datasets.load`, ModelError for statistics that are none, and what pulling throws
 */
export const loadData = async (
  { datasets, objects, log }: AgentContext,
  client: NodeClient,
  { dataset, statistics: info }: DataRef,
  purpose: 'training' | 'evaluation',
  { signal, latest }: Pick<JobControl<DataRef>, 'signal' | 'latest'>,
): Promise<StoredDataset> => {
  if (info === undefined) return datasets.load(dataset, purpose, { signal })
  if (!datasets.isFederated(dataset)) {
    log.info({ dataset }, 'the work brings feature statistics; the data set is not declared to be normalised by them')
    return datasets.load(dataset, purpose, { signal })
  }
  const values = readStatistics(await pullObject(objects, client, latest().token, info, signal))
  return datasets.load(dataset, purpose, { signal, statistics: { sha256: info.sha256, values } })
}

/** Throws ModelError, SafetensorsError. */
export const readStatistics = (file: Uint8Array): FeatureStatistics => {
  try {
    return decodeStatistics(file)
  } catch (cause) {
    if (cause instanceof StatisticsError) throw new ModelError(cause.message, { cause })
    throw cause
  }
}
