import { hash } from 'node:crypto'
import type { Personalise, Personalised } from '@tributary/contracts/personalisation'
import { epochOrder } from '@tributary/learning/seeded/epoch-order'
import { encodeSafetensors } from '@tributary/tensors/safetensors/file'
import type { Tensor } from '@tributary/tensors/tensor'
import { type ModelBundle, weightsFromFlat } from '../../agent/job/model-bundle.ts'
import { withOwnValues } from '../../agent/job/own-values.ts'
import { WorkError } from '../../agent/job/work.ts'
import { lossOf, optimizerOf } from '../../training/graph-options.ts'
import { type DataSet, type EvaluationResult, examplesOf, type Trainer } from '../../training/trainer.ts'

/** Rows to train on over all local epochs: four bytes each in memory. */
const mostRows = 2 ** 28

export type FitJob = {
  readonly bundle: ModelBundle
  readonly wish: Personalise
  /** Undefined where nothing is trained. */
  readonly training: DataSet | undefined
  /** What both are compared on. */
  readonly heldOut: DataSet
  /** This device's values of what the version's task kept local. */
  readonly ownValues: string | undefined
}

/** The outcome, and the weights file of the fitted version where it is the better one. */
export type Fitted = { readonly result: Personalised; readonly weights?: Uint8Array }

/**
 * Fits a version to this device and compares both on held-out data. The fitted one is better where its mean loss is lower and no
 * fewer predictions are right: with a tie the version stays as it was released. The same job gives the same bytes.
 * @throws TrainingError, WorkError, DataError, or the signal's reason
 */
export const fitVersion = async (trainer: Trainer, job: FitJob, signal: AbortSignal): Promise<Fitted> => {
  const { bundle, wish, training, heldOut } = job
  const start = await withOwnValues(bundle, job.ownValues)
  const fitted = training === undefined ? start : await train(trainer, { bundle, wish, training }, start, signal)
  // Nothing was trained, and nothing was kept local here.
  if (fitted === bundle.flat) return { result: { outcome: 'global' } }
  const loss = lossOf({ loss: wish.loss ?? bundle.manifest.loss })
  const measure = (weights: Float32Array) =>
    trainer.evaluate({ graph: bundle.graph, weights, data: heldOut, loss }, { signal })
  const [before, after] = [await measure(bundle.flat), await measure(fitted)]
  const metrics = { examples: before.examples, before: meansOf(before), after: meansOf(after) }
  if (!isBetter(after, before) || !fitted.every(Number.isFinite))
    return { result: { outcome: 'global', ...(Number.isFinite(after.lossSum) && { metrics }) } }
  return { result: { outcome: 'personal', metrics }, weights: weightsFileOf(bundle, fitted) }
}

const train = async (
  trainer: Trainer,
  { bundle, wish, training }: Pick<FitJob, 'bundle' | 'wish'> & { readonly training: DataSet },
  weights: Float32Array,
  signal: AbortSignal,
): Promise<Float32Array> => {
  const { localEpochs, batchSize, learningRate } = wish
  const examples = examplesOf(training)
  if (localEpochs * examples > mostRows)
    throw new WorkError(`${localEpochs} local epochs of ${examples} examples are more than one job takes.`)
  const settings = {
    localEpochs,
    batchSize,
    learningRate,
    optimizer: optimizerOf({ framework: 'onnx', ...wish, loss: wish.loss ?? bundle.manifest.loss }),
    loss: lossOf({ loss: wish.loss ?? bundle.manifest.loss }),
  }
  // Of what is fitted and how, so that a second try gives the same.
  const seed = hash('sha256', `tributary personal ${JSON.stringify(wish)}`, 'buffer')
  const orders = Array.from({ length: localEpochs }, (_, epoch) => Int32Array.from(epochOrder(seed, epoch, examples)))
  const frozen = [...bundle.frozen, ...wish.frozen]
  const trained = await trainer.train(
    { graph: bundle.graph, weights, frozen, data: training, settings, orders },
    { signal },
  )
  return trained.weights
}

const isBetter = (after: EvaluationResult, before: EvaluationResult): boolean =>
  after.lossSum < before.lossSum && (after.correct ?? 0) >= (before.correct ?? 0)

const meansOf = ({ examples, lossSum, correct }: EvaluationResult) => ({
  loss: lossSum / examples,
  accuracy: correct === null ? null : correct / examples,
})

/** As every version's file is: in the order of the manifest, without metadata. */
const weightsFileOf = (bundle: ModelBundle, flat: Float32Array): Uint8Array => {
  const weights = weightsFromFlat(bundle, flat)
  return encodeSafetensors(bundle.manifest.tensors.map(({ name }) => ({ ...(weights.get(name) as Tensor), name })))
}
