import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { defaultMetrics } from '@tributary/contracts/evaluation-metrics'
import { epochOrder } from '@tributary/learning/seeded/epoch-order'
import { pytorchPython, tensorflowPython } from '@tributary/local-stack/testing/framework-python'
import { mcmahan2nn, mcmahanCnn } from '@tributary/onnx-train/models/mcmahan'
import { Manifest } from '@tributary/tensors/manifest'
import { decodeSafetensors } from '@tributary/tensors/safetensors/file'
import { typedView } from '@tributary/tensors/view'
import type { Affine } from '../data/rows/row-layout.ts'
import { bundleOf, temporaryFolder } from '../testing/federation.ts'
import { digitsAndTrainer } from '../testing/python-job.ts'
import { withPython } from '../testing/with-python.ts'
import { askedMetrics } from '../training/asked-metrics.ts'
import { OnnxTrainer } from '../training/onnx-trainer.ts'
import { baseFile } from './python-trainers.ts'

const examples = 203
const seed = new Uint8Array(32).fill(5)
const never = new AbortController().signal

type Case = {
  model: Uint8Array
  trainer: string
  framework: 'pytorch' | 'keras'
  localEpochs: number
  /** As statistics of the work make it. */
  affine?: Affine
}

/** Trains the same job in the agent's own trainer and in a worker; the largest difference of two weights, and both losses. */
const compare = async (python: string, { model, trainer, framework, localEpochs, affine }: Case) => {
  await using folder = await temporaryFolder()
  const { data: stored, trainers } = await digitsAndTrainer(folder.path, examples, { framework, python, trainer })
  const data = affine === undefined ? stored : { ...stored, affine }
  const { weights, manifest, graph } = bundleOf(model)
  const settings = {
    framework,
    trainer: 'here',
    localEpochs,
    batchSize: 10,
    learningRate: 0.05,
    optimizer: 'momentum',
    loss: 'softmax-cross-entropy',
  } as const
  const tensors = decodeSafetensors(weights)
  const flat = Float32Array.from([...tensors.values()].flatMap(({ bytes }) => [...typedView(bytes, 'F32')]))
  const orders = Array.from({ length: localEpochs }, (_, epoch) => Int32Array.from(epochOrder(seed, epoch, examples)))
  await using onnx = new OnnxTrainer()
  const optimizer = { kind: 'momentum' } as const
  const ours = await onnx.train({ graph, weights: flat, data, settings: { ...settings, optimizer }, orders })

  await trainers.probe(never, () => {})
  assert.deepEqual(trainers.frameworks, [framework])
  await using job = await trainers.newJob()
  await writeFile(job.file(baseFile), weights)
  const attempt = { task: '0190b5a0-0000-7000-8000-0000000000f1', round: 1, attempt: 1 }
  const described = Manifest.parse(JSON.parse(Buffer.from(manifest).toString()))
  const trained = await trainers.train(
    { settings, manifest: described, folder: job, data, attempt, seed },
    { signal: never },
  )
  assert.deepEqual([trained.steps, trained.examples], [ours.steps, examples])
  const theirs = decodeSafetensors(await readFile(trained.weights))
  assert.deepEqual([...theirs.keys()], [...tensors.keys()])
  let largest = 0
  let moved = 0
  let offset = 0
  for (const { bytes } of theirs.values()) {
    for (const value of typedView(bytes, 'F32')) {
      const mine = ours.weights[offset] as number
      largest = Math.max(largest, Math.abs(value - mine))
      moved = Math.max(moved, Math.abs(value - (flat[offset] as number)))
      offset += 1
    }
  }
  assert.ok(moved > 0.01, 'it learned')
  const metrics = askedMetrics([defaultMetrics], 'softmax-cross-entropy', true)
  const evaluated = await trainers.evaluate(
    { settings, manifest: described, folder: job, data, task: attempt.task, metrics },
    { signal: never },
  )
  const known = await onnx.evaluate({ graph, weights: flat, data, loss: 'softmax-cross-entropy', metrics })
  assert.ok(known.sums.top5_correct !== undefined && known.sums.confusion_9_9 !== undefined)
  assert.deepEqual(evaluated.sums, known.sums)
  assert.equal(evaluated.correct, known.correct)
  assert.ok(Math.abs((evaluated.lossSum ?? 0) - known.lossSum) < 1e-2, `${evaluated.lossSum} and ${known.lossSum}`)
  return { largest, losses: [ours.meanLoss, trained.meanLoss ?? Number.NaN] as const }
}

const cases: [string, () => Promise<string | undefined>, string, Case][] = [
  [
    'the 2NN in PyTorch, by data that is normalised as it is read,',
    pytorchPython,
    'PyTorch',
    {
      model: mcmahan2nn(1),
      trainer: 'mcmahan_pytorch:two_nn',
      framework: 'pytorch',
      localEpochs: 2,
      affine: { scale: 255, shift: [0.125], divisor: [0.75], run: 1 },
    },
  ],
  [
    'the CNN in PyTorch',
    pytorchPython,
    'PyTorch',
    { model: mcmahanCnn(1), trainer: 'mcmahan_pytorch:cnn', framework: 'pytorch', localEpochs: 1 },
  ],
  [
    'the 2NN in Keras',
    tensorflowPython,
    'TensorFlow',
    { model: mcmahan2nn(1), trainer: 'mcmahan_keras:two_nn', framework: 'keras', localEpochs: 2 },
  ],
]

for (const [name, find, what, job] of cases) {
  test(
    `${name} learns what the ONNX trainer learns from the same data, seed and order, within 1e-5`,
    withPython(what, find, async python => {
      const { largest, losses } = await compare(python, job)
      assert.ok(largest < 1e-5, `the largest difference is ${largest}`)
      assert.ok(Math.abs(losses[0] - losses[1]) < 1e-5, `mean losses ${losses.join(' and ')}`)
    }),
  )
}
