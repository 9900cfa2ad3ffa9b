import { isDeepStrictEqual } from 'node:util'
import {
  encodeStatisticsUpdate,
  statisticsManifest,
  statisticsPasses,
  statisticsRounds,
} from '@tributary/learning/statistics/feature-statistics'
import { localStatistics } from '../../data/statistics/local-statistics.ts'
import type { KeptUpdate } from '../../state/kept-update.ts'
import type { NodeClient } from '../../transport/node-client.ts'
import { pullObject } from '../../transport/pull-object.ts'
import type { AgentContext } from '../context.ts'
import type { JobControl } from './job-slot.ts'
import { readStatistics } from './load-data.ts'
import { readManifest } from './model-bundle.ts'
import { ModelError, type TrainingJob, WorkError } from './work.ts'

/**
 * The part of this device in a round that finds mean and variance of features: the round says which of the passes it is. What leaves
 * is a few numbers for each feature, of all examples together.
 * @throws DataError as `Datasets.loadToMeasure` and `localStatistics`, ModelError, WorkError, SafetensorsError
 */
export const measureStatistics = async (
  { objects, datasets, updates, log }: AgentContext,
  client: NodeClient,
  job: TrainingJob,
  { signal, latest, onProgress }: JobControl<TrainingJob>,
): Promise<KeptUpdate> => {
  const { attempt, dataset: name, weightCap } = job
  const started = performance.now()
  const pull = (info: TrainingJob['weights']) => pullObject(objects, client, latest().token, info, signal)
  const manifest = readManifest(await pull(job.manifest))
  const base = readStatistics(await pull(job.weights))
  if (!isDeepStrictEqual(manifest, statisticsManifest(base.scale.length)))
    throw new ModelError('The manifest is not that of feature statistics.')
  const { dataset, layout } = await datasets.loadToMeasure(name, { entries: base.scale.length, signal })
  const { examples } = dataset
  // A weight that is cut would shift the mean of all.
  if (examples > weightCap)
    throw new WorkError(`The data set has ${examples} examples; the task weighs at most ${weightCap} of a device.`)
  const pass = statisticsPasses[Math.min(attempt.round, statisticsRounds) - 1] as (typeof statisticsPasses)[number]
  log.info({ attempt, dataset: name, examples, framework: 'statistics', pass }, 'training')
  await using rows = await dataset.open()
  const local = examples === 0 ? base : await localStatistics(rows, layout, pass, base, { signal, onProgress })
  const body = encodeStatisticsUpdate(base, local)
  signal.throwIfAborted()
  return updates.keep(body, {
    attempt,
    baseSha256: job.weights.sha256,
    examples,
    trainSeconds: (performance.now() - started) / 1000,
    metrics: [],
    about: `${pass} of the features of ${name}`,
  })
}
