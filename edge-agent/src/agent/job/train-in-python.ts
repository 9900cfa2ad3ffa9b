import { InvalidUpdateError } from '@tributary/learning/update/invalid-update-error'
import { type Manifest, weightsLayout } from '@tributary/tensors/manifest'
import type { JobFolder } from '../../python-worker/job-folder.ts'
import { baseFile } from '../../python-worker/python-trainers.ts'
import type { KeptUpdate } from '../../state/kept-update.ts'
import type { EvaluationResult } from '../../training/trainer.ts'
import type { NodeClient } from '../../transport/node-client.ts'
import { pullFile, pullObject } from '../../transport/pull-object.ts'
import { writeLocalUpdate } from '../../update/local-update-file.ts'
import { WeightsFile } from '../../update/weights-file.ts'
import type { AgentContext } from '../context.ts'
import type { JobControl } from './job-slot.ts'
import { loadData } from './load-data.ts'
import { readManifest } from './model-bundle.ts'
import { trainingMetrics } from './training-metrics.ts'
import { type EvaluationJob, type ModelBundleRef, ModelError, type TrainingJob, WorkError } from './work.ts'

/** Row numbers of all local epochs: a file of four bytes each. */
const mostRows = 2 ** 30

/**
 * Trains with the owner's code. Weights go from file to file and none is in memory here as a whole, so that the size of a
 * model is bounded by the configuration and by what the code needs.
 */
export const trainInPython = async (
  context: AgentContext,
  client: NodeClient,
  job: TrainingJob,
  control: JobControl<TrainingJob>,
): Promise<KeptUpdate> => {
  const { updates, local, python, log } = context
  const { attempt, seed, trainer: settings } = job
  const { signal, onProgress } = control
  const data = await loadData(context, client, job, 'training', control)
  await using folder = await python.newJob()
  const manifest = await pullModel(context, client, job, control, folder)
  local.checkRoom(manifest)
  const { framework, trainer } = settings
  log.info({ attempt, dataset: job.dataset, examples: data.examples, framework, trainer }, 'training')
  if (settings.localEpochs * data.examples > mostRows)
    throw new WorkError(
      `${settings.localEpochs} local epochs of ${data.examples} examples are more than one job takes.`,
    )
  const base = folder.file(baseFile)
  const trained =
    data.examples === 0
      ? nothing(base)
      : await python.train({ attempt, seed, settings, manifest, folder, data }, { signal, onProgress })
  const target = folder.file('update.safetensors')
  await writeLocalUpdate(manifest, { base, local: trained.weights, target }, job.clippingNorm)
  signal.throwIfAborted()
  const { examples, meanLoss, steps, seconds } = trained
  // Before the update: a second try at the round begins with those of the round before all the same.
  await trained.keepLocal()
  return await updates.keepFile(target, {
    attempt,
    baseSha256: job.weights.sha256,
    examples,
    trainSeconds: seconds,
    metrics: trainingMetrics(examples, meanLoss, steps),
  })
}

/** Nothing to learn from: a delta of zeros with no examples, which the node lists as empty. */
const nothing = (base: string) => ({
  weights: base,
  examples: 0,
  meanLoss: 0,
  steps: 0,
  seconds: 0,
  keepLocal: async () => {},
})

/** Evaluates with the owner's code. */
export const evaluateInPython = async (
  context: AgentContext,
  client: NodeClient,
  job: EvaluationJob,
  control: JobControl<EvaluationJob>,
): Promise<EvaluationResult> => {
  const { python } = context
  const { signal } = control
  const data = await loadData(context, client, job, 'evaluation', control)
  await using folder = await python.newJob()
  const manifest = await pullModel(context, client, job, control, folder)
  const { task, metrics } = job
  const { lossSum, ...found } = await python.evaluate(
    { settings: job.trainer, manifest, folder, data, task, metrics },
    { signal },
  )
  return { ...found, lossSum: lossSum ?? Number.NaN }
}

/** The model's manifest; its weights, held against that, are then in the folder. Throws ModelError, SafetensorsError. */
const pullModel = async (
  { objects }: AgentContext,
  client: NodeClient,
  job: ModelBundleRef,
  { signal, latest }: JobControl<ModelBundleRef>,
  folder: JobFolder,
): Promise<Manifest> => {
  const manifest = readManifest(await pullObject(objects, client, latest().token, job.manifest, signal))
  const { fileBytes } = weightsLayout(manifest)
  if (fileBytes !== job.weights.bytes)
    throw new ModelError(
      `The manifest describes weights of ${fileBytes} bytes, the work announces ${job.weights.bytes}.`,
    )
  const base = folder.file(baseFile)
  await pullFile(objects, client, latest().token, job.weights, signal, base)
  try {
    await using _checked = await WeightsFile.open(base, manifest.tensors)
  } catch (error) {
    if (error instanceof InvalidUpdateError) throw new ModelError(error.message, { cause: error })
    throw error
  }
  return manifest
}
