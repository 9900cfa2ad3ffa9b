import { defaultMetrics } from '@tributary/contracts/evaluation-metrics'
import { deriveMetrics } from '@tributary/learning/evaluation/derive-metrics'
import { epochOrder } from '@tributary/learning/seeded/epoch-order'
import { extractWeights } from '@tributary/onnx-train/extract-weights'
import { lossOptions } from '@tributary/onnx-train/losses/loss'
import { parametersOf } from '@tributary/onnx-train/parameters'
import { chosenParameters } from '@tributary/onnx-train/trainable'
import { withWeights } from '@tributary/onnx-train/with-weights'
import { withoutWeights } from '@tributary/onnx-train/without-weights'
import { writeModel } from '@tributary/onnx-train/write-model'
import { askedMetrics } from '../training/asked-metrics.ts'
import { OnnxTrainer } from '../training/onnx-trainer.ts'
import { type EvaluationResult, examplesOf } from '../training/trainer.ts'
import { type Arguments, lossFrom, optimizerFrom, trainableFrom } from './arguments.ts'
import { chooseData } from './choose-data.ts'
import { readModelFile, writeOutput } from './model-file.ts'
import type { Output } from './output.ts'
import { progressBar } from './progress-bar.ts'

/** Trains a model on local data and evaluates it on what is held out, before and after. */
export const trainCommand = async (
  given: Arguments,
  file: string,
  { folder, output, signal }: { readonly folder: string; readonly output: Output; readonly signal: AbortSignal },
): Promise<number> => {
  given.refuse('train', 'form', 'sample-weights', 'correction')
  const loss = lossFrom(given)
  const settings = {
    localEpochs: given.integer('epochs', 1, 1, 1000),
    batchSize: given.integer('batch-size', 32, 1, 65_536),
    learningRate: given.number('learning-rate') ?? 0.05,
    optimizer: optimizerFrom(given),
    loss,
    gradientClippingNorm: given.number('clip'),
    proximal: given.number('proximal'),
  }
  const seed = new Uint8Array(32)
  new DataView(seed.buffer).setUint32(28, given.integer('seed', 1, 0, 2 ** 32 - 1))

  const { model } = await readModelFile(folder, file, given)
  const { tensors } = extractWeights(model)
  const trained = chosenParameters(parametersOf(model), trainableFrom(given))
  const { training, heldOut } = await chooseData(given, folder, seed)
  const { data } = training
  const examples = examplesOf(data)

  await using trainer = new OnnxTrainer()
  const graph = writeModel(withoutWeights(model))
  const evaluate = async (when: string, values: Float32Array): Promise<void> => {
    if (heldOut === undefined) return
    const metrics = askedMetrics([defaultMetrics], lossOptions(loss).kind, true)
    const job = { graph, weights: values, data: heldOut.data, loss, metrics }
    const result = await trainer.evaluate(job, { signal })
    output.out(`${when}: ${describeResult(result)} on ${heldOut.name}\n`)
  }
  await evaluate('before', flatten(tensors))
  const orders = Array.from({ length: settings.localEpochs }, (_, epoch) =>
    Int32Array.from(epochOrder(seed, epoch, examples)),
  )
  const frozen = tensors.flatMap(({ name }) => (trained.has(name) ? [] : [name]))
  const onProgress = progressBar(output)
  const result = await trainer.train(
    { graph, weights: flatten(tensors), frozen, data, settings, orders },
    { signal, onProgress },
  )
  output.out(
    `trained on ${examples} examples of ${training.name}: ${result.steps} steps in ${result.seconds.toFixed(1)} s, mean loss ${result.meanLoss.toPrecision(4)}\n`,
  )
  await evaluate('after', result.weights)
  const out = given.text('out')
  if (out !== undefined) {
    await writeOutput(folder, out, writeModel(withWeights(model, unflatten(tensors, result.weights))))
    output.out(`${out}: the trained model\n`)
  }
  return 0
}

const shownMetrics = ['top5Accuracy', 'f1Macro', 'auc', 'perplexity', 'mae', 'rmse', 'r2'] as const

const describeResult = ({ examples, correct, lossSum, sums }: EvaluationResult): string => {
  const found = deriveMetrics({ examples: `${examples}`, ...sums })
  return [
    `loss ${(lossSum / examples).toPrecision(4)}`,
    ...(correct === null ? [] : [`accuracy ${((100 * correct) / examples).toFixed(2)} %`]),
    ...shownMetrics.flatMap(name => {
      const value = found[name]
      return value === undefined || value === null ? [] : [`${name} ${value.toPrecision(4)}`]
    }),
  ].join(', ')
}

type Tensors = ReturnType<typeof extractWeights>['tensors']

const flatten = (tensors: Tensors): Float32Array => {
  const flat = new Uint8Array(tensors.reduce((sum, { bytes }) => sum + bytes.length, 0))
  let offset = 0
  for (const { bytes } of tensors) {
    flat.set(bytes, offset)
    offset += bytes.length
  }
  return new Float32Array(flat.buffer)
}

const unflatten = (tensors: Tensors, flat: Float32Array): Tensors => {
  let offset = flat.byteOffset
  return tensors.map(tensor => {
    const bytes = new Uint8Array(flat.buffer, offset, tensor.bytes.length)
    offset += bytes.length
    return { ...tensor, bytes }
  })
}
