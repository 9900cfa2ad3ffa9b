import { epochOrder } from '@tributary/learning/seeded/epoch-order'
import type { KeptUpdate } from '../../state/kept-update.ts'
import { collectAfterLarge } from '../../training/collect-garbage.ts'
import { trainingSettingsOf } from '../../training/graph-options.ts'
import { type DataSet, examplesOf } from '../../training/trainer.ts'
import type { NodeClient } from '../../transport/node-client.ts'
import { pullObject } from '../../transport/pull-object.ts'
import { encodeLocalUpdate } from '../../update/local-delta.ts'
import type { AgentContext } from '../context.ts'
import { type Failure, failureOf } from './failure.ts'
import type { JobControl, JobOutcome } from './job-slot.ts'
import { loadData } from './load-data.ts'
import { logFailure } from './log-failure.ts'
import { measureStatistics } from './measure-statistics.ts'
import { loadBundle, type ModelBundle, weightsFromFlat } from './model-bundle.ts'
import { ownValuesOf, withOwnValues } from './own-values.ts'
import { sendUpdate } from './send-update.ts'
import { trainInPython } from './train-in-python.ts'
import { trainingMetrics } from './training-metrics.ts'
import { type TrainingJob, WorkError } from './work.ts'

/** Rows to train on over all local epochs: four bytes each in memory. */
const mostRows = 2 ** 28

/**
 * One attempt on this device: pull, train, keep on disk, send. An update of the same attempt and base that is still on
 * disk is sent as it is. Nothing stays open at the node while training runs.
 * @param declare told why nobody need wait for an update, where there will be none
 */
export const runTraining = async (
  context: AgentContext,
  job: TrainingJob,
  control: JobControl<TrainingJob>,
  declare: (failure: Failure | undefined) => void,
): Promise<JobOutcome> => {
  const { updates, endpoints } = context
  const log = context.log.child({ attempt: job.attempt })
  try {
    const kept = updates.get(job.attempt)
    const resume = kept?.baseSha256 === job.weights.sha256
    const update = resume ? kept : await train(job)(context, endpoints.client(), job, control)
    // What was trained is on disk now and sent from there.
    collectAfterLarge(update.bytes)
    if (update.bytes > job.maxUpdateBytes) {
      await updates.drop(job.attempt)
      throw new WorkError(`The update has ${update.bytes} bytes; the node takes ${job.maxUpdateBytes}.`)
    }
    const token = () => control.latest().token
    return await sendUpdate(context, endpoints.client(), update, token, { resume, signal: control.signal })
  } catch (error) {
    const outcome = logFailure(log, 'training', error, control.signal)
    if (outcome === 'over') declare(failureOf(error))
    return outcome
  }
}

/** ONNX in a process of the agent's own, statistics here, other frameworks in a process of the owner's. */
const train = ({ trainer: { framework } }: TrainingJob) =>
  framework === 'onnx' ? trainOnnx : framework === 'statistics' ? measureStatistics : trainInPython

const trainOnnx = async (
  context: AgentContext,
  client: NodeClient,
  job: TrainingJob,
  control: JobControl<TrainingJob>,
): Promise<KeptUpdate> => {
  const { objects, updates, local, trainer, log } = context
  const { signal, latest, onProgress } = control
  const { attempt } = job
  const settings = trainingSettingsOf(job.trainer)
  const data = await loadData(context, client, job, 'training', control)
  const bundle = await loadBundle(job, info => pullObject(objects, client, latest().token, info, signal))
  local.checkRoom(bundle.manifest)
  const examples = examplesOf(data)
  log.info({ attempt, dataset: job.dataset, examples, framework: 'onnx' }, 'training')
  const trained = await trainFlat(bundle, await withOwnValues(bundle, await local.before(attempt)), data)
  const body = encodeLocalUpdate(
    bundle.manifest,
    bundle.weights,
    weightsFromFlat(bundle, trained.weights),
    job.clippingNorm,
  )
  signal.throwIfAborted()
  // Before the update: a second try at the round begins with those of the round before all the same.
  const own = examples === 0 ? undefined : ownValuesOf(bundle, trained.weights)
  if (own !== undefined) await local.keep(attempt, own)
  return updates.keep(body, {
    attempt,
    baseSha256: job.weights.sha256,
    examples,
    trainSeconds: trained.seconds,
    metrics: trainingMetrics(examples, trained.meanLoss, trained.steps),
  })

  async function trainFlat(
    { graph, frozen }: ModelBundle,
    weights: Float32Array,
    dataset: DataSet,
  ): Promise<{ weights: Float32Array; seconds: number; meanLoss: number; steps: number }> {
    // Nothing to learn from: a delta of zeros with no examples, which the node lists as empty.
    if (examples === 0) return { weights, seconds: 0, meanLoss: 0, steps: 0 }
    const { localEpochs } = settings
    if (localEpochs * examples > mostRows)
      throw new WorkError(`${localEpochs} local epochs of ${examples} examples are more than one job takes.`)
    const orders = Array.from({ length: localEpochs }, (_, epoch) =>
      Int32Array.from(epochOrder(job.seed, epoch, examples)),
    )
    return trainer.train(
      { graph, weights, frozen, data: dataset, settings, orders },
      { signal, onProgress: ({ steps, totalSteps }) => onProgress(steps / totalSteps) },
    )
  }
}
