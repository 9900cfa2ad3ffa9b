/**
 * One epoch of MNIST by the device's own trainer: McMahan's 2NN, 60 000 images in 6 000 steps of batch 10, learning rate
 * 0.1, one thread. Prints seconds of training alone and the accuracy on the 10 000 test images, medians of some epochs
 * from the same start in different orders. Exit code 1 below an accuracy of 0.96, which one epoch reaches by far, or above 2 s.
 *
 *   node bench/mnist-epoch.ts [epochs to measure, default 5]
 */
import { OnnxTrainer } from '@tributary/edge-agent/training/onnx-trainer'
import { epochOrder } from '@tributary/learning/seeded/epoch-order'
import { extractWeights } from '@tributary/onnx-train/extract-weights'
import { mcmahan2nn } from '@tributary/onnx-train/models/mcmahan'
import { readModel } from '@tributary/onnx-train/read-model'
import { loadMnist } from '@tributary/onnx-train/testing/mnist'
import { withoutWeights } from '@tributary/onnx-train/without-weights'
import { writeModel } from '@tributary/onnx-train/write-model'
import { median } from './statistics.ts'

const runs = Number(process.argv[2] ?? 5)
const leastAccuracy = 0.96
const mostSeconds = 2

const model = readModel(mcmahan2nn(1), { maxBytes: 1e7 })
const graph = writeModel(withoutWeights(model))
const { tensors } = extractWeights(model)
const [train, test] = [loadMnist('train', 60_000), loadMnist('t10k', 10_000)]
const data = { features: train.images, labels: train.labels }
const heldOut = { features: test.images, labels: test.labels }
const loss = 'softmax-cross-entropy'
const settings = { localEpochs: 1, batchSize: 10, learningRate: 0.1, optimizer: 'sgd', loss } as const

await using trainer = new OnnxTrainer()
const seconds: number[] = []
const accuracies: number[] = []
for (let run = 0; run < runs; run++) {
  const orders = [Int32Array.from(epochOrder(new Uint8Array(32).fill(run), 0, 60_000))]
  const trained = await trainer.train({ graph, weights: startWeights(), data, settings, orders })
  seconds.push(trained.seconds)
  const { correct, examples } = await trainer.evaluate({ graph, weights: trained.weights, data: heldOut, loss })
  const accuracy = (correct ?? 0) / examples
  accuracies.push(accuracy)
  console.log(`run ${run + 1}: ${trained.steps} steps in ${trained.seconds.toFixed(2)} s, accuracy ${accuracy}`)
}
const judged = (good: boolean, limit: string): string => (good ? `(${limit})` : `(NOT ${limit})`)
const [time, accuracy] = [median(seconds), median(accuracies)]
const fast = time <= mostSeconds
const learnt = accuracy >= leastAccuracy
console.log(
  `one epoch: median ${time.toFixed(2)} s ${judged(fast, `at most ${mostSeconds} s`)}, accuracy ${accuracy} ${judged(learnt, `at least ${leastAccuracy}`)}`,
)
if (!fast || !learnt) process.exitCode = 1

function startWeights(): Float32Array {
  const flat = new Uint8Array(tensors.reduce((sum, { bytes }) => sum + bytes.length, 0))
  let offset = 0
  for (const { bytes } of tensors) {
    flat.set(bytes, offset)
    offset += bytes.length
  }
  return new Float32Array(flat.buffer)
}
